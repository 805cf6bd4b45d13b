"""Exit codes and messages in few words: as they were seen, and what is made of them."""

from __future__ import annotations

import pytest

from kubectl_svcprobe.facts.wording import (
    config_trouble,
    exit_in_words,
    image_trouble,
    probe_answer,
    scheduling_in_words,
)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0, "0, as if its work were done"),
        (1, "1"),
        (126, "126, its command cannot be executed"),
        (127, "127, its command was not found"),
        (137, "137, killed"),
        (139, "139, a segmentation fault"),
        (143, "143, asked to end"),
    ],
)
def test_an_exit_code_in_words(code: int, expected: str) -> None:
    assert exit_in_words(code) == expected


IMAGES = [
    ("ErrImagePull", "429 Too Many Requests - toomanyrequests: You have reached", "rate limit"),
    ("ErrImagePull", "pull access denied, repository does not exist or may require authorization", "no pull secret"),
    ("ErrImagePull", "unexpected status: 401 Unauthorized", "no pull secret"),
    ("InvalidImageName", "", "not a valid one"),
    ("ErrImageNeverPull", "", "imagePullPolicy Never"),
    ("ErrImagePull", "no match for platform in manifest: not found", "the node's processor"),
    ("ErrImagePull", "failed to resolve reference: registry.example.com/web:1: not found", "no such image or tag"),
    ("ErrImagePull", "manifest unknown", "no such image or tag"),
    ("ErrImagePull", "x509: certificate signed by unknown authority", "not trusted"),
    ("ErrImagePull", "dial tcp: lookup registry.example.com: no such host", "does not resolve"),
    ("ErrImagePull", "dial tcp 10.0.0.1:443: i/o timeout", "does not reach"),
]


@pytest.mark.parametrize(("reason", "message", "expected"), IMAGES)
def test_why_an_image_cannot_be_had(reason: str, message: str, expected: str) -> None:
    assert expected in image_trouble(reason, message)


def test_a_back_off_alone_says_nothing_of_the_image() -> None:
    assert image_trouble("ImagePullBackOff", 'Back-off pulling image "web:1"') == ""


SCHEDULING = [
    (
        "0/3 nodes are available: 3 Insufficient cpu. no new claims to deallocate, preemption: 0/3 nodes are available: "
        "3 Preemption is not helpful for scheduling.",
        "3 of 3 nodes: too little cpu left",
    ),
    (
        "0/3 nodes are available: 1 node(s) had untolerated taint {dedicated: db}, 2 Insufficient memory. preemption: x",
        "1 of 3 nodes: taint dedicated not tolerated, 2 of 3 nodes: too little memory left",
    ),
    ("0/1 nodes are available: 1 node(s) were unschedulable.", "1 of 1 node: cordoned"),
    (
        "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
        "2 of 2 nodes: not the node selector or affinity that it wants",
    ),
    ("0/2 nodes are available: 2 the moon is full.", "2 of 2 nodes: the moon is full"),
    (
        '0/3 nodes are available: persistentvolumeclaim "data" not found. no new claims to deallocate, preemption: x',
        "there is no volume claim data",
    ),
    ("running PreBind plugin: timed out", "running PreBind plugin: timed out"),
]


@pytest.mark.parametrize(("message", "expected"), SCHEDULING)
def test_why_no_node_takes_a_pod(message: str, expected: str) -> None:
    assert scheduling_in_words(message) == expected


PROBES = [
    ("Readiness probe failed: HTTP probe failed with statuscode: 503", "was answered with 503"),
    (
        'Readiness probe failed: Get "http://10.0.0.1:9999/": dial tcp 10.0.0.1:9999: connect: connection refused',
        "was refused, so nothing listens there",
    ),
    (
        'Readiness probe failed: Get "http://10.0.0.1:80/": context deadline exceeded (Client.Timeout exceeded)',
        "was not answered within 2 s",
    ),
    ('Readiness probe failed: command timed out: "cat x" timed out after 1s', "was not answered within 2 s"),
    (
        'Readiness probe failed: Get "https://10.0.0.1/": http: server gave HTTP response to HTTPS client',
        "was answered in another protocol",
    ),
    ('Readiness probe failed: service unhealthy (responded with "NOT_SERVING")', "was answered with NOT_SERVING"),
    ("Readiness probe failed: cat: /x: No such file or directory\n", "failed: cat: /x: No such file or directory"),
    ("Readiness probe failed: ", "failed"),
]


@pytest.mark.parametrize(("message", "expected"), PROBES)
def test_what_a_readiness_probe_met(message: str, expected: str) -> None:
    assert probe_answer(message, 2) == expected


CONFIG = [
    ('MountVolume.SetUp failed for volume "x" : configmap "settings" not found', "there is no configmap settings"),
    ('secret "db" not found', "there is no secret db"),
    ("couldn't find key mode in ConfigMap shop/settings", "there is no key mode in configmap settings"),
    ("container has runAsNonRoot and image will run as root", "container has runAsNonRoot and image will run as root"),
]


@pytest.mark.parametrize(("message", "expected"), CONFIG)
def test_what_a_container_lacks(message: str, expected: str) -> None:
    assert config_trouble(message) == expected
