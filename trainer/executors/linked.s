// The functions without a body in linked.go are the engine's.
