// Package cli is prep's command line: commands, flags, exit codes, progress and signals. It is the only
// package that prints. Results go to standard output, progress and messages to standard error; with
// --json the last line of standard output is one JSON object (docs/format.md names its fields).
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"prep/internal/fault"
	"prep/stages"
)

// Exit codes, as --help documents them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInput       = 3
	exitEnvironment = 4
	exitPermanent   = 65  // a task: never try again (EX_DATAERR)
	exitTemporary   = 75  // a task: try again (EX_TEMPFAIL)
	exitInterrupted = 130 // as a shell reports SIGINT
)

const exitHelp = `EXIT STATUS:
   0    done
   1    checks failed, or an internal error
   2    usage: flags, configuration, an output folder of something else
   3    input unusable, or tasks missing (finalize)
   4    the environment lacks something: space, permission, a program
   65   a single task: never try again
   75   a single task: try again
   130  interrupted
`

// errChecksFailed ends a command whose findings are printed already.
var errChecksFailed = errors.New("checks failed")

// session is one run of the program.
type session struct {
	stdout, stderr io.Writer
}

// Main runs the program and returns its exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signalContext(stderr)
	defer stop()
	s := &session{stdout, stderr}
	app := s.app()
	if len(args) > 1 {
		args = flagsFirst(app, args)
	}
	err := app.RunContext(ctx, args)
	if err != nil && ctx.Err() != nil {
		err = context.Canceled
	}
	return s.exitCode(err)
}

// signalContext is cancelled by the first SIGINT or SIGTERM; a second one ends the program at once.
func signalContext(stderr io.Writer) (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case <-ch:
			fmt.Fprintln(stderr, "prep: stopping; once more to stop at once")
			cancel()
		case <-done:
			return
		}
		select {
		case <-ch:
			os.Exit(exitInterrupted)
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(ch)
		close(done)
		cancel()
	}
}

// taskError carries the exit code of a single task.
type taskError struct {
	code int
	err  error
}

func (e *taskError) Error() string { return e.err.Error() }
func (e *taskError) Unwrap() error { return e.err }

// exitCode prints an error as one line and says what the process returns.
func (s *session) exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	var te *taskError
	var inc *stages.Incomplete
	switch {
	case errors.Is(err, errChecksFailed):
		return exitFailed
	case errors.As(err, &te):
		s.complain(err)
		return te.code
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &inc):
		s.complain(err)
		return exitInput
	}
	s.complain(err)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EDQUOT) {
		return exitEnvironment
	}
	switch fault.KindOf(err) {
	case fault.Usage:
		return exitUsage
	case fault.Input, fault.Corrupt, fault.Rejected:
		return exitInput
	case fault.Environment, fault.Unsupported:
		return exitEnvironment
	}
	return exitFailed
}

func (s *session) complain(err error) {
	msg := strings.TrimSpace(err.Error())
	if errors.Is(err, syscall.ENOSPC) && !strings.Contains(msg, "free some") {
		msg += "; free some space and run the same command again, it goes on where it was"
	}
	fmt.Fprintln(s.stderr, "prep:", msg)
}

// logf prints a message for a person.
func (s *session) logf(format string, args ...any) {
	fmt.Fprintf(s.stderr, format+"\n", args...)
}

// results is where a command's findings for a person go: beside a JSON summary they are messages.
func (s *session) results(c *cli.Context) io.Writer {
	if c.Bool("json") {
		return s.stderr
	}
	return s.stdout
}

// summary prints the machine-readable last line.
func (s *session) summary(c *cli.Context, v any) error {
	if !c.Bool("json") {
		return nil
	}
	return json.NewEncoder(s.stdout).Encode(v)
}

func (s *session) app() *cli.App {
	return &cli.App{
		Name:                 "prep",
		Usage:                "turn raw multimodal files into verified shards, and train a joint embedding on them",
		UsageText:            "prep ingest audioset/        decode, measure, filter, transform, write Arrow shards\nprep validate --snr 10       check every byte, re-apply thresholds, report\nprep train shards/           contrastive training straight from the shards",
		Version:              toolVersion(),
		HideVersion:          true,
		EnableBashCompletion: true,
		// A value may hold commas: --set train.freeze=[vision,text].
		DisableSliceFlagSeparator: true,
		Writer:                    s.stdout,
		ErrWriter:                 s.stderr,
		Commands: []*cli.Command{
			s.ingestCommand(), s.validateCommand(), s.trainCommand(), s.evalCommand(), s.exportCommand(), s.embedCommand(), s.inspectCommand(),
			s.planCommand(), s.finalizeCommand(),
			s.configCommand(), s.doctorCommand(), s.demoCommand(), s.versionCommand(), s.checkPluginCommand(), s.completionCommand(),
		},
		CustomAppHelpTemplate: cli.AppHelpTemplate + "\n" + exitHelp,
		OnUsageError: func(_ *cli.Context, err error, _ bool) error {
			return fault.Usagef("%w (prep --help lists the flags)", err)
		},
		CommandNotFound: func(_ *cli.Context, name string) {},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return fault.Usagef("no command %q; prep --help lists them", c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
		ExitErrHandler: func(*cli.Context, error) {},
	}
}

var jsonFlag = &cli.BoolFlag{Name: "json", Usage: "print one JSON summary line at the end on standard output"}

func usageError(c *cli.Context, err error, _ bool) error {
	return fault.Usagef("%s: %w (prep %s --help lists its flags)", c.Command.Name, err, c.Command.Name)
}

// oneArg returns the only argument, or def when there is none.
func oneArg(c *cli.Context, def string) (string, error) {
	switch c.NArg() {
	case 0:
		if def == "" {
			return "", fault.Usagef("%s needs an argument: %s", c.Command.Name, c.Command.UsageText)
		}
		return def, nil
	case 1:
		return c.Args().First(), nil
	}
	return "", fault.Usagef("%s takes one argument, got %d (%s)", c.Command.Name, c.NArg(), strings.Join(c.Args().Slice(), " "))
}

// flagsFirst moves a command's flags before its arguments, so that `prep ingest DIR --out X` works as
// people type it; cli v2 itself stops at the first argument. Words after -- stay arguments, and a word
// that begins with - but is no flag of the command is one too when it could be a key (AudioSet's
// identifiers may begin so).
func flagsFirst(app *cli.App, args []string) []string {
	cmd := app.Command(args[1])
	if cmd == nil {
		return args
	}
	takesValue := map[string]bool{"help": false, "h": false, "generate-bash-completion": false}
	for _, f := range cmd.Flags {
		d, ok := f.(cli.DocGenerationFlag)
		for _, n := range f.Names() {
			takesValue[n] = ok && d.TakesValue()
		}
	}
	var flags, rest []string
	for i := 2; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			rest = append(rest, args[i+1:]...)
			break
		}
		name, _, hasValue := strings.Cut(strings.TrimLeft(a, "-"), "=")
		value, known := takesValue[name]
		switch {
		case !strings.HasPrefix(a, "-") || a == "-":
			rest = append(rest, a)
		case !known && cmd.Name == "inspect" && !strings.HasPrefix(a, "--"):
			rest = append(rest, a)
		default:
			flags = append(flags, a)
			if known && value && !hasValue && i+1 < len(args) {
				i++
				flags = append(flags, args[i])
			}
		}
	}
	out := append(args[:2:2], flags...)
	if len(rest) > 0 {
		out = append(append(out, "--"), rest...)
	}
	return out
}
