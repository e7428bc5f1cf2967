// Answers, for each line of standard input (one JSON document in base64), with
// what Go makes of that document: five fields in base64 on a line, "-" where
// there is none, or "!" and the error.
//
//	any       decoded into an interface and marshalled
//	raw       marshalled as json.RawMessage
//	indented  the first with MarshalIndent and three spaces
//	members   decoded into map[string]json.RawMessage and marshalled
//	time      decoded into a time.Time and marshalled, then seconds and nanoseconds
//
// ../test_gojson_go.py runs it; testdata/match/gojson.json holds what it printed
// with Go 1.21.13 and 1.26.6.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

func field(value []byte, err error) string {
	if err != nil {
		return "-"
	}
	return base64.StdEncoding.EncodeToString(value)
}

func answer(document []byte) string {
	var value any
	if err := json.Unmarshal(document, &value); err != nil {
		return "! " + err.Error()
	}
	anyJSON, anyErr := json.Marshal(value)
	rawJSON, rawErr := json.Marshal(json.RawMessage(document))
	indented, indentErr := json.MarshalIndent(value, "", "   ")
	fields := []string{field(anyJSON, anyErr), field(rawJSON, rawErr), field(indented, indentErr)}

	var members map[string]json.RawMessage
	membersErr := json.Unmarshal(document, &members)
	membersJSON, err := json.Marshal(members)
	if membersErr == nil {
		membersErr = err
	}
	fields = append(fields, field(membersJSON, membersErr))

	var instant time.Time
	timeErr := json.Unmarshal(document, &instant)
	timeJSON, err := json.Marshal(instant)
	if timeErr == nil {
		timeErr = err
	}
	fields = append(fields, field(timeJSON, timeErr), fmt.Sprint(instant.Unix()), fmt.Sprint(instant.Nanosecond()))
	return strings.Join(fields, " ")
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		document, err := base64.StdEncoding.DecodeString(lines.Text())
		if err != nil {
			panic(err)
		}
		fmt.Println(answer(document))
	}
}
