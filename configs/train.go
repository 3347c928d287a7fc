package configs

// Train is the training recipe.
type Train struct{}
