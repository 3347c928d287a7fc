//go:build cgo && (linux || darwin) && (amd64 || arm64)

package device

/*
#cgo linux LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

// The two structs of the PJRT C API that are looked into, as far as they are: their layouts do not change within
// version 0, they only grow at the end (pjrt_c_api.h of openxla/xla).
typedef struct {
	size_t size;
	void *extensions, *executable, *options, *arguments;
	size_t devices, count;
	void *outputs;
	void **complete; // events of the end of the execution on each device; NULL: nobody wants them
	void *device;
} execute_args;

typedef void *execute_fn(execute_args *);

typedef struct {
	size_t size;
	void *extensions;
	struct {
		size_t size;
		void *extensions;
		int major, minor;
	} version;
	void *functions[];
} api_table;

enum { execute_slot = 55 }; // PJRT_LoadedExecutable_Execute

static execute_fn *plugins_execute;

static void *execute_unwaited(execute_args *args) {
	args->complete = NULL;
	return plugins_execute(args);
}

// unwaited returns a copy of the plugin's table whose executions nobody waits for, NULL where that cannot be made.
static void *unwaited(const char *path, int major) {
	void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	if (!library) {
		return NULL;
	}
	api_table *(*get)(void) = (api_table * (*)(void)) dlsym(library, "GetPjrtApi");
	api_table *theirs = get ? get() : NULL;
	size_t least = sizeof(api_table) + (execute_slot + 1) * sizeof(void *);
	if (!theirs || theirs->version.major != major || theirs->size < least || !theirs->functions[execute_slot]) {
		return NULL;
	}
	execute_fn *execute = (execute_fn *)theirs->functions[execute_slot];
	if (plugins_execute && plugins_execute != execute) {
		return NULL; // another plugin of this process has it
	}
	api_table *ours = malloc(theirs->size);
	if (ours) {
		memcpy(ours, theirs, theirs->size);
		ours->functions[execute_slot] = (void *)execute_unwaited;
		plugins_execute = execute;
	}
	return ours;
}
*/
import "C"

import (
	"os"
	"sync"
	"unsafe"

	"github.com/gomlx/go-xla/pjrt"
)

// waitEnv keeps prep from taking the waiting out of steps.
const waitEnv = "PREP_XLA_WAIT"

var unwaitedPlugins = struct {
	sync.Mutex
	paths map[string]bool
}{paths: map[string]bool{}}

// unwait has executions on a plugin return as soon as they are given to the device. PJRT executes asynchronously: what
// an execution makes may be the next one's input, or be read, before it is there. But the library asks for the event of
// each execution's end and waits for it, so that a device stands idle from one step's end until the host has done what
// lies between two steps. There is no option against it. The library does take a plugin as a table of functions, though,
// and it waits only where there is an event: the table that it gets is a copy of the plugin's, in which executing makes
// none. Where such a copy cannot be made the plugin is used as it is, which is slower.
//
// An error of an execution itself shows where its results are read.
func unwait(path string) {
	if os.Getenv(waitEnv) != "" || os.Getenv(plainEnv) != "" {
		return
	}
	unwaitedPlugins.Lock()
	defer unwaitedPlugins.Unlock()
	if unwaitedPlugins.paths[path] {
		return
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	// A plugin that is no library is the library's to report.
	if table := C.unwaited(name, APIMajor); table != nil {
		unwaitedPlugins.paths[path] = pjrt.RegisterPreloadedPlugin(path, uintptr(table)) == nil
	}
}
