#!/bin/sh
# Makes the audit topic with Kafka's own kafka-topics.sh, which has to be on the PATH. Arguments are passed on to it, for
# example --command-config admin.properties.
set -eu

# partitions: what shares one is in order and read by one consumer at a time. Choose them once: with more of them, objects
#   move to other partitions, and what is known of them stays behind
# replication-factor, min.insync.replicas: Deltawire takes an event for delivered when all replicas that are in sync have
#   it, and those are two at least. One broker of three may be down
# unclean.leader.election: a replica that lacks events never becomes the leader
# retention.ms: 90 days. The snapshots inside have every object, also those that did not change for longer
# message.timestamp.type: the broker says when it took an event, whatever the sender's clock says
exec kafka-topics.sh --create \
  --bootstrap-server "${BOOTSTRAP:-localhost:9092}" \
  --topic "${TOPIC:-k8s.audit}" \
  --partitions "${PARTITIONS:-6}" \
  --replication-factor "${REPLICAS:-3}" \
  --config "min.insync.replicas=${MIN_INSYNC:-2}" \
  --config unclean.leader.election.enable=false \
  --config cleanup.policy=delete \
  --config retention.ms=7776000000 \
  --config message.timestamp.type=LogAppendTime \
  "$@"
