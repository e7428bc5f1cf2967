// The peer: compresses a file with compress/gzip, reading it as it goes, and prints nanoseconds
// or, for "check", bytes out and their sha256.
package main

import (
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"log"
	"os"
	"strconv"
	"time"
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

func compress(from io.Reader, level int, to *counter) time.Duration {
	start := time.Now()
	w, err := gzip.NewWriterLevel(to, level)
	if err != nil {
		log.Fatal(err)
	}
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
	if os.Args[3] == "check" {
		c := counter{h: sha256.New()}
		compress(file, level, &c)
		fmt.Printf("%d %x\n", c.n, c.h.Sum(nil))
		return
	}
	fmt.Println(compress(file, level, &counter{}).Nanoseconds())
}
