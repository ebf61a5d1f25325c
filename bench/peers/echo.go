// Bench: the echo server in Go, a peer: one goroutine a connection.
package main

import (
    "fmt"
    "net"
    "os"
)

func echo(client net.Conn) {
    defer client.Close()
    buffer := make([]byte, 16*1024)
    for {
        got, err := client.Read(buffer)
        if err != nil {
            return
        }
        if _, err := client.Write(buffer[:got]); err != nil {
            return
        }
    }
}

func main() {
    listener, err := net.Listen("tcp", "127.0.0.1:0")
    if err != nil {
        fmt.Fprintln(os.Stderr, err)
        os.Exit(1)
    }
    fmt.Printf("listening on %s\n", listener.Addr())
    for {
        client, err := listener.Accept()
        if err != nil {
            continue
        }
        go echo(client)
    }
}
