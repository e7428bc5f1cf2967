// Follows the recipes of inputs.json; ../recipes.py does the same.
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"sort"
)

type random uint64

func (r *random) next() uint32 {
	*r = *r*6364136223846793005 + 1442695040888963407
	return uint32(*r >> 32)
}

func noise(seed, n, values int) []byte {
	r := random(seed)
	out := make([]byte, n)
	for i := range out {
		out[i] = byte((r.next() >> 8) % uint32(values))
	}
	return out
}

func text(seed, n int) []byte {
	r := random(seed)
	var words [300][]byte
	for i := range words {
		word := make([]byte, 2+r.next()%8)
		for j := range word {
			word[j] = byte(97 + r.next()%26)
		}
		words[i] = word
	}
	var out []byte
	for len(out) < n {
		x := r.next()
		if x&1024 != 0 {
			out = append(out, words[x%300]...)
		} else {
			out = append(out, words[x%20]...)
		}
		if x>>16&15 == 0 {
			out = append(out, '\n')
		} else {
			out = append(out, ' ')
		}
	}
	return out[:n]
}

func code(seed, n int) []byte {
	r := random(seed)
	var out []byte
	address := 0x400000
	for len(out) < n {
		x := r.next()
		out = append(out, []byte{0x48, 0x8B, 0xE8, 0x0F, 0x89, 0xC3, 0x83, 0x74}[x&7])
		if x&8 != 0 {
			out = append(out, byte(x>>8&63))
		}
		if x&0x30 == 0 {
			address += int((x>>16)%512) - 200
			out = binary.LittleEndian.AppendUint32(out, uint32(address))
		}
	}
	return out[:n]
}

func packed(seed, n int) []byte {
	r := random(seed)
	var out []byte
	for len(out) < n {
		size := int(200 + r.next()%9000)
		out = append(out, "PK\x03\x04\x14\x00\x08\x00\x08\x00"...)
		out = binary.LittleEndian.AppendUint32(out, uint32(size))
		out = append(out, noise(int(r.next()), size, 256)...)
	}
	return out[:n]
}

func tar(seed, files int) []byte {
	r := random(seed)
	var out []byte
	for i := 0; i < files; i++ {
		size := int(r.next() % 5000)
		header := make([]byte, 512)
		copy(header, fmt.Sprintf("usr/share/doc/package-%d/file-%d", r.next()%50, i))
		copy(header[100:], "0000644\x00")
		copy(header[124:], fmt.Sprintf("%011o\x00", size))
		copy(header[257:], "ustar\x0000")
		kind := r.next() % 4
		fileSeed := int(r.next())
		content := make([]byte, size)
		if kind == 0 {
			content = noise(fileSeed, size, 256)
		} else if kind != 1 {
			content = text(fileSeed, size)
		}
		out = append(out, header...)
		out = append(out, content...)
		out = append(out, make([]byte, (512-size%512)%512)...)
	}
	return append(out, make([]byte, 1024)...)
}

func again(data []byte, distance, n int) []byte {
	for ; n > 0; n-- {
		data = append(data, data[len(data)-distance])
	}
	return data
}

func follow(recipe [][]any) []byte {
	var data []byte
	for _, step := range recipe {
		var v [3]int
		for i, x := range step[1:] {
			v[i] = int(x.(float64))
		}
		switch step[0] {
		case "noise":
			data = append(data, noise(v[0], v[1], v[2])...)
		case "fill":
			for i := 0; i < v[1]; i++ {
				data = append(data, byte(v[0]))
			}
		case "text":
			data = append(data, text(v[0], v[1])...)
		case "code":
			data = append(data, code(v[0], v[1])...)
		case "tar":
			data = append(data, tar(v[0], v[1])...)
		case "packed":
			data = append(data, packed(v[0], v[1])...)
		case "copy":
			data = again(data, v[0], v[1])
		case "edit":
			begin := len(data)
			data = again(data, v[0], v[1])
			for i := begin + v[2]; i < len(data); i += v[2] {
				data[i] ^= 1
			}
		case "cycle":
			data = again(data, len(data), v[0]-len(data))
		default:
			log.Fatal(step)
		}
	}
	return data
}

// readRecipes returns the names in a file of recipes, sorted, and the recipes.
func readRecipes(path string) ([]string, map[string][][]any) {
	raw, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	var recipes map[string][][]any
	if err := json.Unmarshal(raw, &recipes); err != nil {
		log.Fatal(err)
	}
	var names []string
	for name := range recipes {
		names = append(names, name)
	}
	sort.Strings(names)
	return names, recipes
}
