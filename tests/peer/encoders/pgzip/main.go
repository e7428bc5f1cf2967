// Compresses what it is sent with pgzip, as a peer to compare with: for each level (int32), size
// of the pieces (int32), size (uint32) and data on standard input it answers size and the gzip
// stream, until there is no more.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"log"
	"os"

	"github.com/klauspost/pgzip"
)

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	writers := map[int32]*pgzip.Writer{}
	var data, result bytes.Buffer
	for {
		var head struct {
			Level, Piece int32
			Size         uint32
		}
		if err := binary.Read(in, binary.LittleEndian, &head); err == io.EOF {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		data.Reset()
		if _, err := io.CopyN(&data, in, int64(head.Size)); err != nil {
			log.Fatal(err)
		}
		result.Reset()
		w := writers[head.Level]
		if w == nil {
			var err error
			if w, err = pgzip.NewWriterLevel(&result, int(head.Level)); err != nil {
				log.Fatal(err)
			}
			writers[head.Level] = w
		} else {
			w.Reset(&result)
		}
		w.SetConcurrency(int(head.Piece), 2)
		w.Write(data.Bytes())
		w.Close()
		binary.Write(out, binary.LittleEndian, uint32(result.Len()))
		out.Write(result.Bytes())
		if in.Buffered() == 0 {
			out.Flush()
		}
	}
}
