package main

import (
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

// The loader of other packages' schemas is nil, as ours refers to none.
var sdkGenerators = map[string]func(*schema.Package) (files, error){
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

// Each language has a folder of its own; what an earlier run left in it goes.
func writeSdks(spec schema.PackageSpec, folder string) {
	for language, generate := range sdkGenerators {
		generated, err := generate(bind(spec))
		check(err)
		check(os.RemoveAll(filepath.Join(folder, language)))
		write(filepath.Join(folder, language), generated)
	}
}
