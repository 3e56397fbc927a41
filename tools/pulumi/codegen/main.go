// Codegen writes, by Pulumi's own generators, what other languages need of a package:
//
//	codegen SCHEMA VERSION sdks FOLDER      its SDKs in Python, Node.js, Go and .NET
//	codegen SCHEMA VERSION programs FOLDER  the programs (*.pp) in a folder in each language, each beside its source
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

type files = map[string][]byte

func main() {
	if len(os.Args) != 5 {
		check(errors.New("usage: codegen SCHEMA VERSION sdks|programs FOLDER"))
	}
	spec := read(os.Args[1], os.Args[2])
	folder := os.Args[4]
	switch os.Args[3] {
	case "sdks":
		writeSdks(spec, folder)
	case "programs":
		writePrograms(spec, folder)
	default:
		check(fmt.Errorf("no command %q", os.Args[3]))
	}
}

func read(path, version string) (spec schema.PackageSpec) {
	text, err := os.ReadFile(path)
	check(err)
	check(json.Unmarshal(text, &spec))
	spec.Version = version
	// The generators write versions and Go's go.mod only when asked to.
	spec.Meta = &schema.MetadataSpec{SupportPack: true}
	return spec
}

// A generator changes its package, so each gets one of its own.
func bind(spec schema.PackageSpec) *schema.Package {
	pkg, problems, err := schema.BindSpec(spec, schema.NewNullLoader(), schema.ValidationOptions{})
	check(err)
	if problems.HasErrors() {
		check(problems)
	}
	return pkg
}

func write(folder string, generated files) {
	for path, content := range generated {
		path = filepath.Join(folder, path)
		check(os.MkdirAll(filepath.Dir(path), 0o755))
		check(os.WriteFile(path, content, 0o644))
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "codegen:", err)
		os.Exit(1)
	}
}
