"""etcd, the API server, the controller manager and the scheduler."""

from __future__ import annotations

import json
from pathlib import Path

from .api import Api
from .component import Component
from .layout import Layout, Settings

# Who asked for what, never a body: enough to count a client's requests.
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [
        {"level": "None", "userGroups": ["system:nodes", "system:serviceaccounts:kube-system"]},
        {"level": "None", "users": ["system:kube-controller-manager", "system:kube-scheduler", "system:kube-proxy"]},
        {"level": "None", "users": ["system:apiserver"]},
        {"level": "Metadata"},
    ],
}
WITHOUT_NODES = "*,-node-lifecycle-controller,-taint-eviction-controller,-pod-garbage-collector-controller"


def etcd_command(layout: Layout, programs: Path) -> list[str | Path]:
    return [
        programs / "etcd", "--data-dir", layout.home / "etcd", "--unsafe-no-fsync", "--log-level", "warn",
        "--listen-client-urls", "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379",
        "--listen-peer-urls", "http://127.0.0.1:2380",
    ]  # fmt: skip


def api_server_command(layout: Layout, settings: Settings) -> list[str | Path]:
    pki, families = layout.pki, settings.families
    policy = layout.home / "audit-policy.json"
    policy.write_text(json.dumps(AUDIT_POLICY))
    return [
        Path(settings.programs) / "kube-apiserver",
        "--etcd-servers=http://127.0.0.1:2379",
        f"--advertise-address={families[0].api}",
        f"--service-cluster-ip-range={','.join(family.services for family in families)}",
        f"--client-ca-file={pki}/ca.crt",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--service-account-key-file={pki}/service-accounts.key",
        f"--service-account-signing-key-file={pki}/service-accounts.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--authorization-mode=Node,RBAC",
        f"--kubelet-client-certificate={pki}/admin.crt",
        f"--kubelet-client-key={pki}/admin.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--allow-privileged=true",
        f"--cert-dir={layout.home}/certificates",
        "--enable-priority-and-fairness=false",
        "--default-not-ready-toleration-seconds=5",
        "--default-unreachable-toleration-seconds=5",
        f"--audit-policy-file={policy}",
        f"--audit-log-path={layout.audit_log}",
        "--audit-log-mode=batch",  # written beside the requests, not before their answers
        "--audit-log-batch-max-wait=250ms",
    ]


def controller_manager_command(layout: Layout, settings: Settings) -> list[str | Path]:
    pki = layout.pki
    return [
        Path(settings.programs) / "kube-controller-manager",
        f"--kubeconfig={layout.kubeconfig('kube-controller-manager')}",
        "--use-service-account-credentials=true",
        f"--root-ca-file={pki}/ca.crt",
        f"--service-account-private-key-file={pki}/service-accounts.key",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        "--allocate-node-cidrs=false",
        "--leader-elect=false",
        "--kube-api-qps=500",  # with the default of 20 its controllers take five seconds to start
        "--kube-api-burst=1000",
        "--node-monitor-grace-period=10s",
        "--node-monitor-period=1s",
        *([] if settings.nodes else [f"--controllers={WITHOUT_NODES}"]),
    ]


def start_api_server(layout: Layout, settings: Settings, api: Api) -> list[Component]:
    programs = Path(settings.programs)
    etcd = Component("etcd", etcd_command(layout, programs), layout.logs)
    server = Component("kube-apiserver", api_server_command(layout, settings), layout.logs)
    server.await_state(api.ready)
    return [etcd, server]


def start_controllers(layout: Layout, settings: Settings) -> list[Component]:
    scheduler: list[str | Path] = [Path(settings.programs) / "kube-scheduler"]
    scheduler += [f"--kubeconfig={layout.kubeconfig('kube-scheduler')}", "--leader-elect=false"]
    return [
        Component("kube-controller-manager", controller_manager_command(layout, settings), layout.logs),
        Component("kube-scheduler", scheduler, layout.logs),
    ]
