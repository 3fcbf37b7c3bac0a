/** A real Apache Kafka of several nodes, each broker and controller (KRaft), on loopback ports of their own. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { KafkaConnection } from '../../sinks/kafka/testing/client.ts'
import { eventually } from '../support/eventually.ts'
import { use } from './component.ts'
import { java, kafka } from './kafka.ts'
import { type ConsumedRecord, consumeAll } from './kafka-console.ts'
import { freePorts, type Program, Workspace, whileRunning } from './workspace.ts'

const run = promisify(execFile)

/** Three keep their quorum when one is gone. */
const NODES = [1, 2, 3] as const
export type NodeId = (typeof NODES)[number]

interface Ports {
  readonly broker: number
  readonly controller: number
}

/** Three brokers; resolves when they serve, after about 10 s. */
export async function startKafkaCluster(): Promise<KafkaCluster> {
  const lib = await use(kafka)
  const workspace = await Workspace.create('kafka-cluster')
  try {
    return await KafkaCluster.start(workspace, lib)
  } catch (error) {
    await workspace[Symbol.asyncDispose]()
    throw error
  }
}

export class KafkaCluster implements AsyncDisposable {
  readonly #workspace: Workspace
  readonly #lib: string
  readonly #ports: ReadonlyMap<NodeId, Ports>
  readonly #programs = new Map<NodeId, Program>()
  #starts = 0

  private constructor(workspace: Workspace, lib: string, ports: ReadonlyMap<NodeId, Ports>) {
    this.#workspace = workspace
    this.#lib = lib
    this.#ports = ports
  }

  static async start(workspace: Workspace, lib: string): Promise<KafkaCluster> {
    const free = await freePorts(NODES.length * 2)
    const portsOf = (index: number) => ({ broker: free[index * 2] ?? 0, controller: free[index * 2 + 1] ?? 0 })
    const ports = new Map(NODES.map((node, index) => [node, portsOf(index)] as const))
    const cluster = new KafkaCluster(workspace, lib, ports)
    // one argument: an id may begin with a dash
    const id = `--cluster-id=${randomBytes(16).toString('base64url')}`
    await Promise.all(NODES.map((node) => cluster.#format(node, id)))
    await Promise.all(NODES.map((node) => cluster.startNode(node)))
    return cluster
  }

  /** `127.0.0.1:23456`, one for each node. */
  get addresses(): readonly string[] {
    return NODES.map((node) => this.#address(node))
  }

  /** Resolves when it serves. */
  async startNode(node: NodeId): Promise<void> {
    const name = `node-${node}-${++this.#starts}`
    const log = join(this.#workspace.folder, `${name}.log`)
    const settings = `node-${node}.properties`
    const program = this.#workspace.start(name, 'java', [...java(this.#lib), 'kafka.Kafka', settings])
    this.#programs.set(node, program)
    const serves = async () => (await readFile(log, 'utf8')).includes('Kafka Server started')
    await whileRunning(program, `Kafka's node ${node} serves`, serves)
  }

  /** As a crash: SIGKILL. */
  async killNode(node: NodeId): Promise<void> {
    await this.#programs.get(node)?.end('SIGKILL')
  }

  /** With a replica on each node; what is acknowledged by all in sync is on two of them at least. */
  async createTopic(name: string, partitions: number): Promise<void> {
    using connection = await KafkaConnection.open(this.#address(1))
    const config = { 'min.insync.replicas': '2' }
    await connection.createTopic({ name, partitions, replicas: NODES.length, config })
    const led = async () => (await this.leaders(name)).length === partitions && (await this.appended(name)) === 0
    await eventually(led, { what: `topic ${name} is served by its leaders` })
  }

  /** Who leads each partition, by its number; rejects while one has no leader. */
  async leaders(topic: string): Promise<readonly NodeId[]> {
    using connection = await KafkaConnection.open(this.#running())
    const [described] = await connection.describe([topic])
    return (described?.partitions ?? []).map(({ partition, leader }) => {
      const node = NODES.find((one) => one === leader)
      if (!node) throw new Error(`partition ${partition} of ${topic} has no leader`)
      return node
    })
  }

  /** Kafka's own tool: each partition is led by the first of its replicas again. */
  async electPreferredLeaders(): Promise<void> {
    const election = ['--election-type', 'preferred', '--all-topic-partitions']
    const tool = 'org.apache.kafka.tools.LeaderElectionCommand'
    await run('java', [...java(this.#lib), tool, '--bootstrap-server', this.#running(), ...election])
  }

  /** How many records were ever appended to the topic. */
  async appended(topic: string): Promise<number> {
    let sum = 0
    for (const [partition, leader] of (await this.leaders(topic)).entries()) {
      using connection = await KafkaConnection.open(this.#address(leader))
      sum += await connection.endOffset(topic, partition)
    }
    return sum
  }

  /** As TestKafka's. */
  async consoleConsumer(topic: string): Promise<readonly ConsumedRecord[]> {
    const count = await this.appended(topic)
    return await consumeAll(java(this.#lib), { topic, bootstrap: this.#running(), count })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#workspace[Symbol.asyncDispose]()
  }

  async #format(node: NodeId, id: string): Promise<void> {
    const { folder } = this.#workspace
    const settings = `node-${node}.properties`
    await mkdir(join(folder, `data-${node}`))
    await writeFile(join(folder, settings), this.#settings(node))
    await run('java', [...java(this.#lib), 'kafka.tools.StorageTool', 'format', id, '--config', settings], {
      cwd: folder,
    })
  }

  #address(node: NodeId): string {
    return `127.0.0.1:${this.#ports.get(node)?.broker}`
  }

  /** The address of one that runs. */
  #running(): string {
    const node = NODES.find((one) => this.#programs.get(one)?.running)
    if (!node) throw new Error('no node of Kafka runs: start one with startNode()')
    return this.#address(node)
  }

  #settings(node: NodeId): string {
    const controller = (one: NodeId) => `127.0.0.1:${this.#ports.get(one)?.controller}`
    const settings: Readonly<Record<string, string | number>> = {
      'process.roles': 'broker,controller',
      'node.id': node,
      'controller.quorum.voters': NODES.map((one) => `${one}@${controller(one)}`).join(),
      listeners: `PLAINTEXT://${this.#address(node)},CONTROLLER://${controller(node)}`,
      'advertised.listeners': `PLAINTEXT://${this.#address(node)}`,
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
      'controller.listener.names': 'CONTROLLER',
      'inter.broker.listener.name': 'PLAINTEXT',
      'log.dirs': `data-${node}`,
      'auto.create.topics.enable': 'false',
      'auto.leader.rebalance.enable': 'false', // leaders move when a test says so
      'offsets.topic.num.partitions': 1,

      // small and quick
      'group.initial.rebalance.delay.ms': 0,
      'broker.session.timeout.ms': 3000,
      'broker.heartbeat.interval.ms': 500,
      'num.network.threads': 1,
      'num.io.threads': 2,
      'background.threads': 2,
      'log.cleaner.dedupe.buffer.size': 4 * 1024 * 1024,
    }
    return Object.entries(settings)
      .map(([key, value]) => `${key}=${value}\n`)
      .join('')
  }
}
