// Another implementation of AWS's signatures to compare with: Amazon's own for Go, and MinIO's for chunks.
//
//	aws            answers questions, a line each, as ../aws.ts asks them
//	aws client     uses a bucket as programs do, see client.go
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "client" {
		if err := client(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var question question
		if err := json.Unmarshal(line, &question); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		answer, err := question.answer()
		if err != nil {
			answer.Error = err.Error()
		}
		encoded, _ := json.Marshal(answer)
		out.Write(append(encoded, '\n'))
	}
}
