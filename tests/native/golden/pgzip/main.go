// Writes golden vectors: what the pgzip that is compiled in makes of the inputs of
// inputs-pgzip.json at levels 1 to 6, in pieces of the size that the argument names. See README.md.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"log"
	"os"
	"path"
	"runtime/debug"
	"strconv"

	"github.com/klauspost/pgzip"
)

// compressVersion returns the release of klauspost/compress that is compiled in: if it replaces the one
// that pgzip asks for, that of the replacement, or the name of its folder.
func compressVersion() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path != "github.com/klauspost/compress" {
			continue
		}
		if module.Replace == nil {
			return module.Version
		}
		if version := module.Replace.Version; version != "" && version != "(devel)" {
			return version
		}
		return path.Base(module.Replace.Path)
	}
	return "unknown"
}

func main() {
	log.SetFlags(0)
	piece, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	names, recipes := readRecipes("inputs-pgzip.json")
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	fmt.Fprintf(out, "# klauspost/compress %s, pieces of %d: input, its sha256, then level, size and sha256 of each output without header and trailer\n", compressVersion(), piece)
	for _, name := range names {
		data := follow(recipes[name])
		fmt.Fprintf(out, "%s %x\n", name, sha256.Sum256(data))
		for level := 1; level <= 6; level++ {
			var made bytes.Buffer
			w, err := pgzip.NewWriterLevel(&made, level)
			if err != nil {
				log.Fatal(err)
			}
			w.SetConcurrency(piece, 2)
			w.Write(data)
			w.Close()
			body := made.Bytes()[10 : made.Len()-8]
			fmt.Fprintf(out, "%d %d %x\n", level, len(body), sha256.Sum256(body))
		}
	}
}
