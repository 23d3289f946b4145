/* JSON Merge Patch (RFC 7396) on specs. */
#ifndef SERVER_MERGE_PATCH_H
#define SERVER_MERGE_PATCH_H

#include "gradreg/settings.h"
#include "server/json.h"

/* Merges `patch` into the object *target of `family`, as RFC 7396 says, with one addition: where
 * the patch changes a kind ({"optimizer": {"type": "sgd"}}), members of the old kind that the new
 * one does not know are left out, unless the patch itself gives them. GR_INVALID (with a problem)
 * where the patch is no object or has a member twice; GR_OUT_OF_MEMORY. */
gr_status merge_patch(const gr_family *family, cJSON *target, const cJSON *patch, problems *found);

#endif
