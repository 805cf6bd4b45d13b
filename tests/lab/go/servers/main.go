// Servers of every protocol that a Service may lead to, in one program: servers PROTOCOL=PORT… [--OPTION=VALUE…]
//
//	http      HTTP/1.1                        h2c   HTTP/2 without TLS and nothing else; gRPC's health service too
//	https     HTTP/1.1 and HTTP/2 by TLS      tcp   accepts, reads, and never says a word
//	banner    speaks first, then reads        udp   sends back what it receives
//	silent    UDP that receives and is mute   dns   answers every question for an address, by UDP and TCP
//
// Everything listens on both families, where there are two.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var (
	certificate = flag.String("certificate", "right", "https: right, wrong-name, expired, or self-signed")
	names       = flag.String("names", "", "https: what the right certificate is for, beside this pod; with commas")
	greeting    = flag.String("greeting", "220 lab.test ready\r\n", "banner: what it says first")
	delay       = flag.Duration("delay", 0, "before each answer")
	health      = flag.Int("health", 1, "h2c, https: gRPC's health; 1 is SERVING, 2 NOT_SERVING")
)

// Server listens on a port and serves until it cannot.
type Server func(port string) error

var servers = map[string]Server{
	"http": func(port string) error { return (&http.Server{Addr: ":" + port, Handler: handler()}).ListenAndServe() },
	"h2c": func(port string) error {
		var only http.Protocols
		only.SetUnencryptedHTTP2(true)
		return (&http.Server{Addr: ":" + port, Handler: handler(), Protocols: &only}).ListenAndServe()
	},
	"https": func(port string) error {
		chain, err := makeCertificate(*certificate, strings.FieldsFunc(*names, func(r rune) bool { return r == ',' }))
		if err != nil {
			return err
		}
		return (&http.Server{Addr: ":" + port, Handler: handler(), TLSConfig: chain}).ListenAndServeTLS("", "")
	},
	"tcp":    func(port string) error { return accept(port, "") },
	"banner": func(port string) error { return accept(port, *greeting) },
	"udp":    func(port string) error { return receive(port, func(said []byte) []byte { return said }) },
	"silent": func(port string) error { return receive(port, func([]byte) []byte { return nil }) },
	"dns": func(port string) error {
		go func() { log.Fatal(acceptQuestions(port)) }()
		return receive(port, answer)
	},
}

func handler() http.Handler {
	host, _ := os.Hostname()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(*delay)
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") && r.ProtoMajor == 2 {
			serveGRPC(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintf(w, "%s %s\n", r.Proto, host)
	})
}

// gRPC over HTTP/2: the health service, and for every other method what a gRPC server says of one it does not know.
func serveGRPC(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/grpc")
	if r.URL.Path != "/grpc.health.v1.Health/Check" {
		w.Header().Set("Grpc-Status", "12")
		w.Header().Set("Grpc-Message", "unknown method "+r.URL.Path)
		return
	}
	w.Header().Set("Trailer", "Grpc-Status")
	w.Write([]byte{0, 0, 0, 0, 2, 8, byte(*health)}) // not compressed, two bytes: field 1, the status
	w.(http.Flusher).Flush()                         // or there is a length, and no trailer
	w.Header().Set("Grpc-Status", "0")
}

func accept(port, greeting string) error {
	listener, err := net.Listen("tcp", ":"+port)
	for err == nil {
		var connection net.Conn
		if connection, err = listener.Accept(); err == nil {
			go func() {
				defer connection.Close()
				time.Sleep(*delay)
				io.WriteString(connection, greeting)
				io.Copy(io.Discard, connection)
			}()
		}
	}
	return err
}

func receive(port string, reply func([]byte) []byte) error {
	connection, err := net.ListenPacket("udp", ":"+port)
	buffer := make([]byte, 1<<16)
	for err == nil {
		var size int
		var client net.Addr
		if size, client, err = connection.ReadFrom(buffer); err != nil {
			continue
		}
		if said := reply(append([]byte{}, buffer[:size]...)); said != nil {
			time.AfterFunc(*delay, func() { connection.WriteTo(said, client) })
		}
	}
	return err
}

func start(what string) error {
	protocol, port, _ := strings.Cut(what, "=")
	server, known := servers[protocol]
	if _, err := strconv.ParseUint(port, 10, 16); err != nil || !known {
		return fmt.Errorf("%s: not PROTOCOL=PORT", what)
	}
	go func() { log.Fatalf("%s: %v", what, server(port)) }()
	return nil
}

func main() {
	var wanted []string
	for _, word := range os.Args[1:] { // options may stand before and after
		if strings.HasPrefix(word, "-") {
			if err := flag.CommandLine.Parse([]string{word}); err != nil {
				log.Fatal(err)
			}
		} else {
			wanted = append(wanted, word)
		}
	}
	err := errors.New("nothing to serve")
	for _, what := range wanted {
		if err = start(what); err != nil {
			break
		}
	}
	if err != nil {
		log.Fatal(err)
	}
	ended, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	<-ended.Done()
}
