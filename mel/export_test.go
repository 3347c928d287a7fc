package mel

// EachVariant runs f with every variant of the kernels that this build and processor have, the plain ones
// included, and leaves in use what was.
func EachVariant(f func(name string)) {
	defer func(v *kernels) { vector = v }(vector)
	for _, k := range append([]*kernels{nil}, variants...) {
		vector = k
		f(Variant())
	}
}

// DurationLimits are limits of clips before the samples end them.
var DurationLimits = clipLimits
