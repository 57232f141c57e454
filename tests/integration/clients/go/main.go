// ClickHouse's client for Go over HTTP, as its manual shows it. Prints one fact a line: its name, then what was read.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/ClickHouse/clickhouse-go/v2"
)

func connected(address, user, password string) clickhouse.Conn {
	connection, err := clickhouse.Open(&clickhouse.Options{
		Protocol:    clickhouse.HTTP,
		Addr:        []string{address},
		Auth:        clickhouse.Auth{Database: "throughline", Username: user, Password: password},
		Compression: &clickhouse.Compression{Method: clickhouse.CompressionLZ4},
	})
	must(err)
	return connection
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func codeOf(err error) string {
	var said *clickhouse.Exception
	if errors.As(err, &said) {
		return fmt.Sprint(said.Code)
	}
	return fmt.Sprint("no code: ", err)
}

func main() {
	ctx := context.Background()
	reading := connected(os.Args[1], os.Args[4], os.Args[5])
	writing := connected(os.Args[1], os.Args[2], os.Args[3])
	must(reading.Ping(ctx))
	fmt.Println("ping true")

	var text string
	bound := clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{"who": "O'Hara"}))
	must(reading.QueryRow(bound, "SELECT {who:String}").Scan(&text))
	fmt.Println("text", text)

	var sum, number uint64
	rows, err := reading.Query(ctx, "SELECT number FROM numbers(300000)")
	must(err)
	for rows.Next() {
		must(rows.Scan(&number))
		sum += number
	}
	must(rows.Err())
	fmt.Println("sum", sum)

	var count uint64
	for n := 0; n < 5; n++ {
		must(reading.QueryRow(ctx, "SELECT count() FROM sessions").Scan(&count))
		fmt.Println("count", count)
	}

	must(writing.Exec(ctx, "CREATE TABLE from_go (n UInt32, word String) ENGINE = MergeTree ORDER BY n"))
	batch, err := writing.PrepareBatch(ctx, "INSERT INTO from_go")
	must(err)
	for n := uint32(0); n < 1000; n++ {
		must(batch.Append(n, fmt.Sprint("word ", n)))
	}
	must(batch.Send())
	must(reading.QueryRow(ctx, "SELECT sum(n) FROM from_go").Scan(&sum))
	fmt.Println("inserted", sum)

	fmt.Println("refused", codeOf(reading.Exec(ctx, "DROP TABLE from_go")))
	_, err = reading.Query(ctx, "SELECT * FROM nothing")
	fmt.Println("unknown", codeOf(err))
}
