// The peer: compresses a file in memory N times with compress/gzip and prints, for each run,
// nanoseconds, bytes out and their sha256.
package main

import (
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"hash"
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

func compress(data []byte, level int, to *counter) time.Duration {
	start := time.Now()
	w, err := gzip.NewWriterLevel(to, level)
	if err != nil {
		log.Fatal(err)
	}
	for len(data) > 1<<20 {
		w.Write(data[:1<<20])
		data = data[1<<20:]
	}
	w.Write(data)
	w.Close()
	return time.Since(start)
}

func main() {
	data, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	level, _ := strconv.Atoi(os.Args[2])
	if os.Args[3] == "check" {
		c := counter{h: sha256.New()}
		compress(data, level, &c)
		fmt.Printf("%d %x\n", c.n, c.h.Sum(nil))
		return
	}
	fmt.Println(compress(data, level, &counter{}).Nanoseconds())
}
