"""The cases, by the network that they run in. A case is a function whose name says what must hold; it fails by raising."""

from dataclasses import dataclass

import disks
import partitions


@dataclass(frozen=True)
class Group:
    """A network and the cases that run in it, one after the other."""

    name: str
    nodes: str  # a letter each
    start: callable
    cases: list
    root: bool = False  # whether only root can run it


GROUPS = [
    Group(
        "cut",
        "abc",
        partitions.start,
        [
            partitions.a_node_without_network_fails_the_set_up_by_name,
            partitions.a_node_that_hears_nothing_fails_the_set_up_by_name,
        ],
    ),
    Group(
        "silent",
        "abc",
        partitions.start,
        [
            partitions.a_node_whose_packets_are_lost_both_ways_fails_the_set_up_by_name,
            partitions.a_node_that_is_not_heard_fails_the_set_up_by_name,
        ],
    ),
    Group(
        "flapping",
        "abc",
        partitions.start,
        [
            partitions.a_wire_that_carried_empty_packets_only_is_of_use_soon,
            partitions.while_a_wire_flaps_no_request_is_lost_and_nothing_grows,
        ],
    ),
    Group(
        "slow",
        "abc",
        partitions.start,
        [
            partitions.a_slow_and_lossy_wire_is_enough_for_set_ups,
            partitions.a_request_that_left_for_a_dead_connection_arrives_over_the_next,
        ],
    ),
    Group("long", "abc", partitions.start, [partitions.a_node_that_is_away_for_long_delays_no_other]),
    Group(
        "full",
        "ab",
        disks.start_full,
        [
            disks.a_full_disk_at_the_first_start_is_said_and_nothing_is_left_behind,
            disks.a_disk_that_fills_in_mid_set_up_fails_it_by_name,
            disks.while_its_disk_is_full_a_node_says_so_and_serves_what_needs_none,
            disks.once_there_is_room_a_node_goes_on_by_itself,
            disks.what_was_acknowledged_around_a_full_disk_is_there_after_a_restart,
            disks.a_full_disk_at_a_later_start_is_said_and_costs_nothing,
            disks.a_read_only_disk_is_said_and_costs_nothing,
            disks.a_relay_whose_disk_is_full_sets_nothing_up_and_says_so,
        ],
    ),
    Group("thin", "ab", disks.start_thin, [disks.what_a_disk_took_and_could_not_keep_is_not_acknowledged], root=True),
    Group(
        "stores",
        "ab",
        disks.start_stores,
        [
            disks.a_store_that_was_cut_is_refused_and_kept,
            disks.a_store_with_flipped_bytes_is_refused_or_the_same,
            disks.an_old_backup_is_the_same_node_and_protects_no_round_twice,
        ],
    ),
]
