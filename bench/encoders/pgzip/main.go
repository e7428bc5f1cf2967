// The peer for pgzip: as ../main.go, with pgzip and, as a third argument, the size of the pieces.
//
// Compile it with the release of klauspost/compress to compare with, in a folder of its own:
//
//	go mod init bench && go get github.com/klauspost/pgzip@v1.2.6 github.com/klauspost/compress@v1.18.2
//	go build -o pgzip1.18.2
package main

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"log"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/klauspost/pgzip"
)

type counter struct {
	n int
	h hash.Hash
}

func (c *counter) Write(b []byte) (int, error) {
	c.n += len(b)
	if c.h != nil {
		c.h.Write(b)
	}
	return len(b), nil
}

func compress(from io.Reader, level, piece int, to *counter) time.Duration {
	start := time.Now()
	w, err := pgzip.NewWriterLevel(to, level)
	if err != nil {
		log.Fatal(err)
	}
	w.SetConcurrency(piece, runtime.GOMAXPROCS(0))
	chunk := make([]byte, 1<<20)
	for {
		n, err := from.Read(chunk)
		w.Write(chunk[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	w.Close()
	return time.Since(start)
}

func main() {
	file, err := os.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	level, _ := strconv.Atoi(os.Args[2])
	piece, _ := strconv.Atoi(os.Args[3])
	if os.Args[4] == "check" {
		c := counter{h: sha256.New()}
		compress(file, level, piece, &c)
		fmt.Printf("%d %x\n", c.n, c.h.Sum(nil))
		return
	}
	fmt.Println(compress(file, level, piece, &counter{}).Nanoseconds())
}
