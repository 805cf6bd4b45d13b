"""What it means: every rule, in the order in which findings of the same severity are told."""

from kubectl_svcprobe.rules import (
    company,
    endpoints,
    load_balancers,
    looked,
    mixed,
    names,
    node_ports,
    observed,
    ports,
    selection,
    service,
)
from kubectl_svcprobe.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    service.service_does_not_exist,
    selection.selector_matches_no_pod,
    selection.workload_scaled_to_zero,
    selection.pods_cannot_be_created,
    selection.selectorless_without_endpoints,
    selection.selected_pods_have_finished,
    endpoints.no_pod_ready,
    endpoints.some_pods_not_ready,
    endpoints.ready_pod_not_in_endpoints,
    endpoints.endpoint_on_lost_node,
    ports.named_target_port_undeclared,
    ports.named_target_port_on_some_pods,
    ports.nothing_listens_on_target_port,
    ports.headless_port_differs,
    observed.cluster_ip_does_not_answer,
    observed.accepts_but_does_not_answer,
    observed.endpoints_unreachable,
    node_ports.node_without_local_endpoint,
    node_ports.node_port_fails_on_node,
    node_ports.node_port_unreachable_from_here,
    load_balancers.load_balancer_pending,
    load_balancers.load_balancer_does_not_answer,
    load_balancers.external_ip_does_not_answer,
    names.network_policy_may_exclude_probe,
    names.name_does_not_resolve,
    names.cluster_dns_does_not_answer,
    observed.http_error_status,
    observed.tls_handshake_fails,
    mixed.endpoint_fails,
    mixed.intermittent,
    company.several_workloads_behind_selector,
    looked.facts_unread,
    looked.probe_pod_failed,
    looked.probe_pod_is_cut_off,
)

#: Codes that are no longer used; they are never given again.
RETIRED: dict[str, str] = {}

BY_CODE = {rule.code: rule for rule in RULES}
