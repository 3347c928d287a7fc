package configs

// Model is the shape of the model.
type Model struct{}
