// Package fault tells kinds of failure apart by type, so that one place can decide what each costs:
// a ledger row, a refusal before the run, or the run itself.
//
//	Rejected      a rule said no                          a ledger row, outcome "rejected"
//	Corrupt       this input is broken                    a ledger row, outcome "failed"
//	Unsupported   this kind cannot be read here           a ledger row, outcome "failed"; named once before the run
//	Usage         the command line or configuration       ends the command, exit 2
//	Input         nothing usable where input was expected ends the command, exit 3
//	Environment   the machine lacks something             ends the command, exit 4
//	Internal      our bug, or anything not told apart     ends the command, exit 1
//
// Errors of the first three kinds carry a Reason: a short lower-case token that lands in the ledger's
// reason column and can be grouped by. The detail is a sentence for a person and names file and place.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what a failure costs.
type Kind uint8

// The kinds, from the most to the least severe for the run.
const (
	Internal Kind = iota
	Environment
	Input
	Usage
	Unsupported
	Corrupt
	Rejected
)

func (k Kind) String() string {
	return [...]string{"internal", "environment", "input", "usage", "unsupported", "corrupt", "rejected"}[k]
}

// Error is a failure of a known kind. Reason is empty for the kinds that end a command.
type Error struct {
	Kind   Kind
	Reason string
	Detail string
	Err    error // what lies beneath, may be nil
}

func (e *Error) Error() string { return e.Detail }

func (e *Error) Unwrap() error { return e.Err }

// newError formats as fmt.Errorf does: an operand of %w becomes the cause.
func newError(k Kind, reason, format string, args []any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: k, Reason: reason, Detail: err.Error(), Err: errors.Unwrap(err)}
}

// Rejectedf reports that a rule excludes a sample.
func Rejectedf(reason, format string, args ...any) error {
	return newError(Rejected, reason, format, args)
}

// Corruptf reports an input that is broken.
func Corruptf(reason, format string, args ...any) error {
	return newError(Corrupt, reason, format, args)
}

// Unsupportedf reports an input that is whole but cannot be read here; the detail says what would help.
func Unsupportedf(reason, format string, args ...any) error {
	return newError(Unsupported, reason, format, args)
}

// Usagef reports a wrong command line or configuration.
func Usagef(format string, args ...any) error { return newError(Usage, "", format, args) }

// Inputf reports that a command found nothing usable where its input should be.
func Inputf(format string, args ...any) error { return newError(Input, "", format, args) }

// Environmentf reports that the machine lacks something: space, a permission, a program.
func Environmentf(format string, args ...any) error { return newError(Environment, "", format, args) }

// KindOf returns the kind of the first *Error in err's chain, or Internal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// ReasonOf returns the reason of the first *Error in err's chain, or "internal".
func ReasonOf(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Reason != "" {
		return e.Reason
	}
	return "internal"
}
