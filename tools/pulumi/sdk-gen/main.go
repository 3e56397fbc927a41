// Sdk-gen writes the SDKs of a package in Python, Node.js, Go and .NET, by Pulumi's own generators:
//
//	sdk-gen SCHEMA VERSION FOLDER
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	dotnet "github.com/pulumi/pulumi-dotnet/pulumi-language-dotnet/v3/codegen"
	golang "github.com/pulumi/pulumi/pkg/v3/codegen/go"
	"github.com/pulumi/pulumi/pkg/v3/codegen/nodejs"
	"github.com/pulumi/pulumi/pkg/v3/codegen/python"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

// The name of the generator, in the header of each file.
const tool = "pulumi-language-generator"

type files = map[string][]byte

// The loader of other packages' schemas is nil, as ours refers to none.
var generators = map[string]func(*schema.Package) (files, error){
	"python": func(pkg *schema.Package) (files, error) { return python.GeneratePackage(tool, pkg, nil, nil) },
	"nodejs": func(pkg *schema.Package) (files, error) {
		return nodejs.GeneratePackage(tool, pkg, nil, nil, false, nil)
	},
	"go": func(pkg *schema.Package) (files, error) { return golang.GeneratePackage(tool, pkg, nil) },
	"dotnet": func(pkg *schema.Package) (files, error) {
		logo := serveLogo()
		defer logo.Close()
		pkg.LogoURL = logo.URL
		return dotnet.GeneratePackage(tool, pkg, nil, nil)
	},
}

// The generator for .NET downloads the package's icon, and Pulumi's own where there is none. Ours is plain.
func serveLogo() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		check(png.Encode(answer, image.NewGray(image.Rect(0, 0, 64, 64))))
	}))
}

func main() {
	if len(os.Args) != 4 {
		check(errors.New("usage: sdk-gen SCHEMA VERSION FOLDER"))
	}
	spec := read(os.Args[1], os.Args[2])
	for language, generate := range generators {
		generated, err := generate(bind(spec))
		check(err)
		write(filepath.Join(os.Args[3], language), generated)
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

// What an earlier run left in the folder goes.
func write(folder string, generated files) {
	check(os.RemoveAll(folder))
	for path, content := range generated {
		path = filepath.Join(folder, path)
		check(os.MkdirAll(filepath.Dir(path), 0o755))
		check(os.WriteFile(path, content, 0o644))
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "sdk-gen:", err)
		os.Exit(1)
	}
}
