package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// The authority of the lab: in this image with its key, and in the curl image among those that are trusted.
const authority = "/pki/ca"

const day = 24 * time.Hour

// One for the names given, and for this pod's own name and addresses, signed by the lab's authority, unless its kind
// says otherwise.
func makeCertificate(kind string, names []string) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	leaf := &x509.Certificate{
		SerialNumber: serial,
		NotBefore:    time.Now().Add(-30 * day),
		NotAfter:     time.Now().Add(60 * day),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	parent, signer := leaf, crypto.PrivateKey(key)
	if kind != "self-signed" {
		issuer, err := tls.LoadX509KeyPair(authority+".crt", authority+".key")
		if err != nil {
			return nil, err
		}
		parent, signer = issuer.Leaf, issuer.PrivateKey
	}
	switch kind {
	case "right", "self-signed":
	case "wrong-name":
		names = []string{"other.lab.test"}
	case "expired":
		leaf.NotAfter = time.Now().Add(-2 * day)
	default:
		return nil, fmt.Errorf("no certificate is %q", kind)
	}
	if kind != "wrong-name" {
		names = append(names, own()...)
	}
	for _, name := range names {
		if address := net.ParseIP(name); address != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, address)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, name)
		}
	}
	leaf.Subject = pkix.Name{CommonName: names[0]}
	signed, err := x509.CreateCertificate(rand.Reader, leaf, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	chain := tls.Certificate{Certificate: [][]byte{signed}, PrivateKey: key}
	return &tls.Config{Certificates: []tls.Certificate{chain}}, nil
}

func own() []string {
	host, _ := os.Hostname()
	found := []string{host}
	addresses, _ := net.InterfaceAddrs()
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.IsGlobalUnicast() {
			found = append(found, network.IP.String())
		}
	}
	return found
}
