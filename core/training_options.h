/* The options of "training", in the order of their table. */
#ifndef CORE_TRAINING_OPTIONS_H
#define CORE_TRAINING_OPTIONS_H

enum {
    GR_TRAINING_ITERATIONS,
    GR_TRAINING_BATCH_SIZE,
    GR_TRAINING_EVALUATE_EVERY,
    GR_TRAINING_CHECKPOINT_EVERY
};

#endif
