-- What was measured of a trained model, as the JSON document that the API answers with.
CREATE TABLE analyses (
    experiment INTEGER PRIMARY KEY REFERENCES experiments (id) ON DELETE CASCADE,
    document TEXT NOT NULL
) STRICT;
