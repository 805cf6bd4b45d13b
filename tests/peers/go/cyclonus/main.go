// Runs the cases that cyclonus generates against the lab, and writes what came of each as a line of JSON.
//
// Everything is cyclonus' own (cases, pods, policies, expected truth tables, comparison) but the sending of probes: in
// place of an exec for each of 324 connections a step, they are opened here, in the network namespace of the pod. That
// needs root on the machine of the lab, and takes a second where exec takes half a minute of two processors.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/mattfenwick/cyclonus/pkg/connectivity"
	"github.com/mattfenwick/cyclonus/pkg/connectivity/probe"
	"github.com/mattfenwick/cyclonus/pkg/generator"
	"github.com/mattfenwick/cyclonus/pkg/kube"
	"github.com/mattfenwick/cyclonus/pkg/worker"
	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	retries        = 2 // of a whole step: a machine that is busy with other things is no finding
	ignoreLoopback = true
)

var (
	registry = flag.String("image-registry", "", "where the pods' image is said to come from")
	dns      = flag.String("dns", "", "address of the cluster's DNS")
	output   = flag.String("results", "", "file to write")
	include  = flag.String("include", "", "only cases with one of these tags")
	exclude  = flag.String("exclude", "", "no case with one of these tags")
	patience = flag.Duration("patience", time.Second, "of a probe, before it counts as blocked")
)

// prober is cyclonus' access to the cluster, with probes sent from here.
type prober struct {
	*kube.Kubernetes
	mutex  sync.Mutex
	spaces map[string]string // the network namespace of each pod, by UID
}

// space finds a process of the pod by its cgroup, which is named after the pod's UID.
func (p *prober) space(uid string) (string, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if found, ok := p.spaces[uid]; ok {
		return found, nil
	}
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return "", err
	}
	for _, file := range groups {
		if content, err := os.ReadFile(file); err == nil && bytes.Contains(content, []byte("pod"+uid)) {
			p.spaces[uid] = filepath.Join(filepath.Dir(file), "ns", "net")
			return p.spaces[uid], nil
		}
	}
	return "", fmt.Errorf("no process of pod %s", uid)
}

// dialIn opens a connection in another network namespace: a socket belongs to the one its thread was in.
func dialIn(ctx context.Context, space, network, address string) (net.Conn, error) {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer home.Close()
	there, err := os.Open(space)
	if err != nil {
		return nil, err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	connection, dialError := (&net.Dialer{}).DialContext(ctx, network, address)
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, err // and the thread, which is in the wrong place, ends with its goroutine
	}
	runtime.UnlockOSThread()
	return connection, dialError
}

// connect does what `agnhost connect` does: over UDP, only an answer is a success.
func connect(space string, request *worker.Request) error {
	ctx, cancel := context.WithTimeout(context.Background(), *patience)
	defer cancel()
	address := request.Host
	if net.ParseIP(address) == nil {
		resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialIn(ctx, space, network, net.JoinHostPort(*dns, "53"))
		}}
		found, err := resolver.LookupIP(ctx, "ip4", strings.TrimSuffix(address, ".")+".")
		if err != nil {
			return err
		}
		address = found[0].String()
	}
	network := strings.ToLower(string(request.Protocol))
	connection, err := dialIn(ctx, space, network, net.JoinHostPort(address, fmt.Sprint(request.Port)))
	if err != nil {
		return err
	}
	defer connection.Close()
	if request.Protocol != v1.ProtocolUDP {
		return nil
	}
	deadline, _ := ctx.Deadline()
	if err := connection.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := connection.Write([]byte("hello")); err != nil {
		return err
	}
	_, err = connection.Read(make([]byte, 512))
	return err
}

// ExecuteRemoteCommand answers as cyclonus' worker in the pod would, which is told all probes of a step at once.
func (p *prober) ExecuteRemoteCommand(namespace, name, _ string, command []string) (string, string, error, error) {
	var batch worker.Batch
	if err := json.Unmarshal([]byte(command[len(command)-1]), &batch); err != nil {
		return "", "", nil, err
	}
	pod, err := p.GetPod(namespace, name)
	if err != nil {
		return "", "", nil, err
	}
	space, err := p.space(string(pod.UID))
	if err != nil {
		return "", "", nil, err
	}
	results := make([]*worker.Result, len(batch.Requests))
	var group sync.WaitGroup
	for index, request := range batch.Requests {
		results[index] = &worker.Result{Request: request}
		group.Add(1)
		go func() {
			defer group.Done()
			if err := connect(space, request); err != nil {
				results[index].Error = err.Error()
			}
		}()
	}
	group.Wait()
	answer, err := json.Marshal(results)
	return string(answer), "", nil, err
}

// line is what came of one case.
type line struct {
	Description string   `json:"description"`
	Tags        []string `json:"tags"` // each as GROUP/TAG
	Passed      bool     `json:"passed"`
	Probes      int      `json:"probes"`
	Tries       int      `json:"tries"`
	Error       string   `json:"error,omitempty"`
}

func summary(result *connectivity.Result) line {
	found := line{Description: result.TestCase.Description, Passed: result.Err == nil && result.Passed(ignoreLoopback)}
	if result.Err != nil {
		found.Error = result.Err.Error()
	}
	for group, tags := range generator.AllTags {
		for _, tag := range tags {
			if result.TestCase.Tags.ContainsAny([]string{tag}) {
				found.Tags = append(found.Tags, group+"/"+tag)
			}
		}
	}
	for _, step := range result.Steps {
		found.Tries += len(step.KubeProbes)
		table := step.KubeProbes[0]
		for _, from := range table.Wrapped.Froms {
			for _, to := range table.Wrapped.Tos {
				if from != to {
					found.Probes += len(table.Get(from, to).JobResults)
				}
			}
		}
	}
	return found
}

func list(flagged string) []string {
	return strings.FieldsFunc(flagged, func(r rune) bool { return r == ',' })
}

func run() error {
	flag.Parse()
	cluster, err := kube.NewKubernetesForContext("")
	if err != nil {
		return err
	}
	cluster.RestConfig.QPS, cluster.RestConfig.Burst = 500, 1000 // and not 5 requests a second
	if cluster.ClientSet, err = kubernetes.NewForConfig(cluster.RestConfig); err != nil {
		return err
	}
	access := &prober{Kubernetes: cluster, spaces: map[string]string{}}
	protocols := []v1.Protocol{v1.ProtocolTCP, v1.ProtocolUDP}
	namespaces, pods := []string{"x", "y", "z"}, []string{"a", "b", "c"}
	resources, err := probe.NewDefaultResources(
		access, namespaces, pods, []int{80, 81}, protocols, nil, 60, false, *registry)
	if err != nil {
		return err
	}
	target, err := resources.GetPod("z", "c")
	if err != nil {
		return err
	}
	interpreter := connectivity.NewInterpreter(access, resources, &connectivity.InterpreterConfig{
		ResetClusterBeforeTestCase: true, VerifyClusterStateBeforeTestCase: true,
		KubeProbeRetries: retries, PerturbationWaitSeconds: 1, BatchJobs: true, JobTimeoutSeconds: 1,
		IgnoreLoopback: ignoreLoopback,
	})
	file, err := os.Create(*output)
	if err != nil {
		return err
	}
	defer file.Close()
	printer := &connectivity.Printer{IgnoreLoopback: ignoreLoopback}
	cases := generator.NewTestCaseGenerator(true, target.IP, namespaces, list(*include), list(*exclude)).GenerateTestCases()
	failed := 0
	for number, testCase := range cases {
		result := interpreter.ExecuteTestCase(testCase)
		found := summary(result)
		if !found.Passed {
			failed++
			if result.Err == nil {
				printer.PrintTestCaseResult(result)
			}
		}
		fmt.Fprintf(os.Stderr, "case %d of %d: passed %t: %s\n", number+1, len(cases), found.Passed, found.Description)
		if err := json.NewEncoder(file).Encode(found); err != nil {
			return err
		}
	}
	if failed > 0 {
		return errors.New(fmt.Sprint(failed, " cases failed"))
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
