// Prints go-headers.json: what Go's archive/tar writes for a table of headers.
// Run with the Go release the file names: go run go-headers.go > go-headers.json
package main

import (
	"archive/tar"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"runtime"
	"strings"
	"time"
)

type vector struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Mode   int64  `json:"mode"`
	Mtime  int64  `json:"mtime"`
	Link   string `json:"link"`
	Size   int64  `json:"size"`
	Uname  string `json:"uname"`
	Header string `json:"header"`
}

func main() {
	long := strings.Repeat
	vectors := []vector{
		{Name: "manifest.json", Kind: "file", Mode: 0o100644},
		{Name: "manifest.json", Kind: "file", Mode: 0o100644, Uname: "root", Size: 77},
		{Name: "abc/", Kind: "dir", Mode: 0o40755, Mtime: 1700000000},
		{Name: "abc/layer.tar", Kind: "symlink", Mode: 0o120777, Link: "../def/layer.tar"},
		{Name: "abc/layer.tar", Kind: "hardlink", Mode: 0o644, Link: "def/layer.tar"},
		{Name: "sha256:" + long("a", 64), Kind: "file", Mode: 0o644, Size: 12345},
		{Name: "big", Kind: "file", Mode: 0o644, Size: 8589934591},
		{Name: "big", Kind: "file", Mode: 0o644, Size: 8589934592},
		{Name: "blobs/sha256/" + long("b", 64), Kind: "file", Mode: 0o444, Size: 9 << 30},
		{Name: "d/", Kind: "dir", Mode: 0o755, Mtime: 8589934592},
		{Name: "old", Kind: "file", Mode: 0o644, Mtime: -1},
		{Name: long("d", 60) + "/" + long("e", 60), Kind: "file", Mode: 0o644, Size: 1},
		{Name: long("d", 60) + "/" + long("e", 60) + "/", Kind: "dir", Mode: 0o755},
		{Name: "blobs/sha512/" + long("c", 128), Kind: "file", Mode: 0o644, Size: 4},
		{Name: long("x", 99) + "/" + long("y", 120), Kind: "file", Mode: 0o644, Size: 4},
		{Name: long("x", 97) + "///" + long("y", 120), Kind: "file", Mode: 0o644, Size: 4},
		{Name: "sübfolder/bäse", Kind: "file", Mode: 0o644, Size: 4},
		{Name: "l", Kind: "symlink", Mode: 0o777, Link: long("z", 100)},
		{Name: "l", Kind: "symlink", Mode: 0o777, Link: long("z", 101)},
		{Name: "l", Kind: "symlink", Mode: 0o777, Link: "ü"},
		{Name: long("d", 60) + "/" + long("e", 60), Kind: "file", Mode: 0o644, Size: 9 << 30, Mtime: 9 << 30},
		{Name: long("n", 100), Kind: "file", Mode: 0o644},
		{Name: long("n", 101), Kind: "file", Mode: 0o644},
		{Name: long("p", 155) + "/" + long("n", 100), Kind: "file", Mode: 0o644},
		{Name: long("p", 156) + "/" + long("n", 100), Kind: "file", Mode: 0o644},
		{Name: long("p", 155) + "/" + long("n", 99) + "/", Kind: "dir", Mode: 0o755},
		{Name: long("p", 100) + "/", Kind: "dir", Mode: 0o755},
	}
	flags := map[string]byte{"file": '0', "hardlink": '1', "symlink": '2', "dir": '5'}
	for i := range vectors {
		v := &vectors[i]
		var out bytes.Buffer
		header := &tar.Header{
			Name: v.Name, Typeflag: flags[v.Kind], Mode: v.Mode, Linkname: v.Link, Size: v.Size,
			Uname: v.Uname, Gname: v.Uname, ModTime: time.Unix(v.Mtime, 0),
		}
		if err := tar.NewWriter(&out).WriteHeader(header); err != nil {
			panic(err)
		}
		v.Header = hex.EncodeToString(out.Bytes())
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	encoder.Encode(map[string]any{"origin": runtime.Version() + " archive/tar", "generator": "go-headers.go", "headers": vectors})
}
