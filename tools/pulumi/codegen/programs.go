package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/blang/semver"
	"github.com/hashicorp/hcl/v2"
	dotnet "github.com/pulumi/pulumi-dotnet/pulumi-language-dotnet/v3/codegen"
	golang "github.com/pulumi/pulumi/pkg/v3/codegen/go"
	"github.com/pulumi/pulumi/pkg/v3/codegen/hcl2/syntax"
	"github.com/pulumi/pulumi/pkg/v3/codegen/nodejs"
	"github.com/pulumi/pulumi/pkg/v3/codegen/pcl"
	"github.com/pulumi/pulumi/pkg/v3/codegen/python"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

// By the ending of a program's file.
var programGenerators = map[string]func(*pcl.Program) (files, hcl.Diagnostics, error){
	".py": python.GenerateProgram,
	".ts": nodejs.GenerateProgram,
	".go": generateGo,
	".cs": dotnet.GenerateProgram,
}

// The Go SDK calls a function LookupX where a resource X has taken GetX, which the generator of programs misses in
// packages without modules.
func generateGo(program *pcl.Program) (files, hcl.Diagnostics, error) {
	generated, problems, err := golang.GenerateProgram(program)
	for path, content := range generated {
		for _, package_ := range program.PackageReferences() {
			generated[path] = lookUp(content, package_)
		}
	}
	return generated, problems, err
}

func lookUp(program []byte, package_ schema.PackageReference) []byte {
	for resources := package_.Resources().Range(); resources.Next(); {
		name := resources.Token()[strings.LastIndex(resources.Token(), ":")+1:]
		taken := fmt.Sprintf("%s.Get%s", package_.Name(), name)
		for _, ending := range []string{"(", "Args"} {
			program = bytes.ReplaceAll(program, []byte(taken+ending), []byte(fmt.Sprintf("%s.Lookup%s%s", package_.Name(), name, ending)))
		}
	}
	return program
}

// The only package that the programs know.
type only struct{ spec schema.PackageSpec }

func (loader only) LoadPackage(name string, _ *semver.Version) (*schema.Package, error) {
	if name != loader.spec.Name {
		return nil, fmt.Errorf("the programs know the package %s alone, not %s", loader.spec.Name, name)
	}
	return bind(loader.spec), nil
}

func (loader only) LoadPackageV2(_ context.Context, package_ *schema.PackageDescriptor) (*schema.Package, error) {
	return loader.LoadPackage(package_.Name, package_.Version)
}

func writePrograms(spec schema.PackageSpec, folder string) {
	check(filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".pp" {
			writeProgram(spec, path)
		}
		return err
	}))
}

func writeProgram(spec schema.PackageSpec, path string) {
	source, err := os.ReadFile(path)
	check(err)
	for ending, generate := range programGenerators {
		generated, problems, err := generate(parse(spec, path, source))
		check(err)
		if problems.HasErrors() {
			check(problems)
		}
		if len(generated) != 1 {
			check(fmt.Errorf("%s: %d files for %s, not one", path, len(generated), ending))
		}
		for _, content := range generated {
			check(os.WriteFile(strings.TrimSuffix(path, ".pp")+ending, content, 0o644))
		}
	}
}

// A generator changes its program, so each gets one of its own.
func parse(spec schema.PackageSpec, path string, source []byte) *pcl.Program {
	parser := syntax.NewParser()
	check(parser.ParseFile(bytes.NewReader(source), filepath.Base(path)))
	if parser.Diagnostics.HasErrors() {
		check(fmt.Errorf("%s: %w", path, parser.Diagnostics))
	}
	program, problems, err := pcl.BindProgram(parser.Files, only{spec})
	if problems.HasErrors() {
		check(fmt.Errorf("%s: %w", path, errors.Join(problems.Errs()...)))
	}
	check(err)
	return program
}
