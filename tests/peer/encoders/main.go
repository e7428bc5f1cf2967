// Compresses what it is sent, as a peer to compare with: for each level (int32), size (uint32)
// and data on standard input it answers size and raw DEFLATE, until there is no more.
package main

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"log"
	"os"
)

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	writers := map[int32]*flate.Writer{}
	var data, result bytes.Buffer
	for {
		var head struct {
			Level int32
			Size  uint32
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
			if w, err = flate.NewWriter(&result, int(head.Level)); err != nil {
				log.Fatal(err)
			}
			// Only small inputs are worth sparing a new writer for.
			writers[head.Level] = w
		} else {
			w.Reset(&result)
		}
		w.Write(data.Bytes())
		w.Close()
		binary.Write(out, binary.LittleEndian, uint32(result.Len()))
		out.Write(result.Bytes())
		if in.Buffered() == 0 {
			out.Flush()
		}
	}
}
