/** What a person sees for each mistake: whole messages, with their places. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { file, problemsOf } from './test-kit.ts'

const HEAD = 'apiVersion: deltawire.io/v1\nkind: Bridge\n'

type Case = readonly [mistake: string, text: string, lines: readonly string[]]

const cases: readonly Case[] = [
  [
    'an empty file',
    '',
    ['c.yaml:1:1: the file is empty; expected a mapping that starts with apiVersion: deltawire.io/v1'],
  ],
  [
    'a file of comments only',
    '# nothing\n',
    ['c.yaml:1:1: the file is empty; expected a mapping that starts with apiVersion: deltawire.io/v1'],
  ],
  [
    'a list at the top',
    '- a\n- b\n',
    ['c.yaml:1:1: the file is a list; expected a mapping that starts with apiVersion: deltawire.io/v1'],
  ],
  [
    'one value at the top',
    'hello\n',
    ['c.yaml:1:1: the file is one value; expected a mapping that starts with apiVersion: deltawire.io/v1'],
  ],
  [
    'a bracket that is not closed',
    'sources: [\n',
    ['c.yaml:2:1: not YAML: the indentation does not fit the lines above, or a bracket is not closed'],
  ],
  [
    'a tab as indentation',
    'log:\n\tlevel: info\n',
    ['c.yaml:2:1: not YAML: a tab in the indentation; YAML takes spaces only'],
  ],
  [
    'tabs as indentation, which is one mistake',
    'log:\n\tlevel: info\n\tformat: json\nsources:\n\t- resources: [pods]\n  - x\n',
    ['c.yaml:2:1: not YAML: a tab in the indentation; YAML takes spaces only'],
  ],
  [
    'tabs inside brackets',
    'sources: [\n\ta,\n\tb\n]\n',
    ['c.yaml:2:2: not YAML: a tab in the indentation; YAML takes spaces only'],
  ],
  [
    'mistakes that do not hide each other, then one that does',
    'kind: a\nkind: b\ncluster: !x y\nlog:\n\tlevel: info\nkind: c\n',
    [
      'c.yaml:2:1: not YAML: the key is there twice',
      'c.yaml:3:10: not YAML: a tag (!name) that means nothing here',
      'c.yaml:5:1: not YAML: a tab in the indentation; YAML takes spaces only',
    ],
  ],
  ['a key that is there twice', `${HEAD}kind: Bridge\n`, ['c.yaml:3:1: not YAML: the key is there twice']],
  [
    'two documents',
    `${HEAD}---\nkind: Bridge\n`,
    ['c.yaml:3:1: not YAML: a second document (---); one file is one configuration'],
  ],
  [
    'an alias without its anchor',
    `${HEAD}sources: *x\n`,
    ['c.yaml:3:10: not YAML: an alias (*name) without its anchor (&name)'],
  ],
  [
    'a tag, and the text behind it is not repeated',
    `${HEAD}cluster: !secret hunter2\n`,
    ['c.yaml:3:10: not YAML: a tag (!name) that means nothing here'],
  ],
  [
    'an escape that YAML does not know',
    `${HEAD}cluster: "\\q"\n`,
    ['c.yaml:3:11: not YAML: an escape that double quotes do not know; single quotes take text as it is'],
  ],
  [
    'indentation that fits nothing',
    'sources:\n  - a\n b: c\n',
    ['c.yaml:3:1: not YAML: the indentation does not fit the lines above, or a bracket is not closed'],
  ],
  [
    'a colon in a value without quotes',
    `${HEAD}cluster: a: b\n`,
    ['c.yaml:3:10: not YAML: a nested mapping on one line; a value that holds ": " needs quotes'],
  ],
  [
    'a list as a key',
    '? [a, b]\n: x\n',
    [
      'c.yaml:1:1 apiVersion: is missing; expected deltawire.io/v1',
      'c.yaml:1:1 kind: is missing; expected Bridge',
      'c.yaml:1:1 sources: is missing; expected a list',
      'c.yaml:1:1 sinks: is missing; expected a list',
      'c.yaml:1:1 ["[ a, b ]"]: unknown key; expected one of apiVersion, kind, cluster, http, admin, log, state, deadLetters, shutdown, redaction, limits, apiServer, sources, routes, sinks',
    ],
  ],
  [
    'a quote that is not closed, and the text behind it is not repeated',
    'token: "hunter2\n',
    ['c.yaml:2:1: not YAML: a character is missing: a colon, a comma, a quote or a bracket'],
  ],
  [
    'no sources, no sinks',
    HEAD,
    ['c.yaml:1:1 sources: is missing; expected a list', 'c.yaml:1:1 sinks: is missing; expected a list'],
  ],
  [
    'another version, a misspelled kind',
    'apiVersion: deltawire.io/v2\nkind: Brigde\nsources: [{resources: [pods]}]\nsinks: [{name: o, type: echo, to: x}]\n',
    [
      'c.yaml:1:13 apiVersion: "deltawire.io/v2" is not valid; did you mean deltawire.io/v1?',
      'c.yaml:2:7 kind: "Brigde" is not valid; did you mean Bridge?',
    ],
  ],
  [
    'unknown sections',
    file.process('rotes: []\ntracing: { to: x }'),
    [
      'c.yaml:3:1 rotes: unknown key; did you mean routes?',
      'c.yaml:4:1 tracing: unknown key; expected one of apiVersion, kind, cluster, http, admin, log, state, deadLetters, shutdown, redaction, limits, apiServer, sources, routes, sinks',
    ],
  ],
  [
    'dead letters that go nowhere, to where they come from, and round',
    file.sinks(
      [
        '  - { name: a, type: echo, to: x, deadLetter: bb }',
        '  - { name: b, type: echo, to: x, deadLetter: b }',
        '  - { name: c, type: echo, to: x, deadLetter: d }',
        '  - { name: d, type: echo, to: x, deadLetter: c }',
        '  - { name: out, type: echo, to: x, deadLetter: c }',
      ].join('\n'),
    ),
    [
      'c.yaml:4:47 sinks[0].deadLetter: there is no sink "bb"; did you mean b?',
      'c.yaml:5:47 sinks[1].deadLetter: dead letters would go round: b -> b; expected another sink, or none',
      'c.yaml:6:47 sinks[2].deadLetter: dead letters would go round: c -> d -> c; expected another sink, or none',
      'c.yaml:7:47 sinks[3].deadLetter: dead letters would go round: d -> c -> d; expected another sink, or none',
    ],
  ],
  [
    'an admin API that others could reach',
    file.process('admin: { listen: ":8090" }\nshutdown: {}'),
    [
      'c.yaml:3:18 admin.listen: only loopback, as in 127.0.0.1:8090, or off: the admin API shows events and has no login; from elsewhere use kubectl exec or kubectl port-forward',
    ],
  ],
  [
    'a key in the singular, beside one that it begins with',
    file.sources('  - { name: a, resources: [pods], namespace: [shop] }'),
    ['c.yaml:4:35 sources[0].namespace: unknown key; did you mean namespaces?'],
  ],
  [
    'a key beside the only one that it resembles',
    file.process('log: { level: info, levels: [info] }'),
    ['c.yaml:3:21 log.levels: unknown key; expected one of level, format'],
  ],
  [
    'a misspelled key that has a default',
    file.process('log: { levle: info }'),
    ['c.yaml:3:8 log.levle: unknown key; did you mean level?'],
  ],
  [
    'a shape where the payload is due, and a text that is none',
    file.routes('  - { name: a, to: [out], payload: metadata }\n  - { name: b, to: [out], payload: hunter2 }'),
    [
      'c.yaml:4:36 routes[0].payload: is text; expected a mapping such as { shape: metadata }',
      'c.yaml:5:36 routes[1].payload: is text; expected a mapping such as { shape: object }',
    ],
  ],
  [
    'a section without content',
    file.process('log:'),
    ['c.yaml:3:5 log: is empty; expected a mapping such as { level: info }'],
  ],
  [
    'sections of another type',
    file.process('log: debug\nhttp: [1]'),
    [
      'c.yaml:3:6 log: is text; expected a mapping such as { level: debug }',
      'c.yaml:4:7 http: is a list; expected a mapping such as { listen: :8080 }',
    ],
  ],
  [
    'keys that JavaScript knows',
    file.process('__proto__: { a: 1 }\nconstructor: { prototype: 1 }'),
    [
      'c.yaml:3:1 __proto__: unknown key; expected one of apiVersion, kind, cluster, http, admin, log, state, deadLetters, shutdown, redaction, limits, apiServer, sources, routes, sinks',
      'c.yaml:4:1 constructor: unknown key; expected one of apiVersion, kind, cluster, http, admin, log, state, deadLetters, shutdown, redaction, limits, apiServer, sources, routes, sinks',
    ],
  ],
  [
    'a number as a key',
    file.process('1: x'),
    [
      'c.yaml:3:1 ["1"]: unknown key; expected one of apiVersion, kind, cluster, http, admin, log, state, deadLetters, shutdown, redaction, limits, apiServer, sources, routes, sinks',
    ],
  ],
  [
    'names from a list, misspelled',
    file.process('log: { level: warning, format: JSON }'),
    [
      'c.yaml:3:15 log.level: "warning" is not valid; did you mean warn?',
      'c.yaml:3:32 log.format: "JSON" is not valid; did you mean json?',
    ],
  ],
  [
    'a number where a name from a list is due',
    file.process('log: { level: 3 }'),
    ['c.yaml:3:15 log.level: is a number; expected one of trace, debug, info, warn, error, fatal'],
  ],
  [
    'a port alone',
    file.process('http: { listen: 8080 }'),
    ['c.yaml:3:17 http.listen: is a number; expected :8080, 127.0.0.1:8080 or [::1]:8080'],
  ],
  [
    'a host alone',
    file.process('http: { listen: "localhost" }'),
    ['c.yaml:3:17 http.listen: not an address to listen on: write :8080, 127.0.0.1:8080 or [::1]:8080'],
  ],
  [
    'a port that does not exist',
    file.process('http: { listen: ":70000" }'),
    ['c.yaml:3:17 http.listen: not an address to listen on: write :8080, 127.0.0.1:8080 or [::1]:8080'],
  ],
  [
    'a cluster with a space',
    file.process('cluster: "prod eu"'),
    ['c.yaml:3:10 cluster: "prod eu" is not valid; expected letters, digits, -, . and _'],
  ],
  [
    'a cluster that is a number',
    file.process('cluster: 5'),
    ['c.yaml:3:10 cluster: is a number; expected letters, digits, -, . and _'],
  ],
  [
    'a key without a value',
    file.process('cluster:'),
    ['c.yaml:3:9 cluster: is empty; expected letters, digits, -, . and _'],
  ],
  [
    'a duration without a unit',
    file.process('shutdown: { drain: 20 }'),
    ['c.yaml:3:20 shutdown.drain: is a number; expected a duration such as 500ms, 10s, 5m or 1h'],
  ],
  [
    'a duration in words',
    file.process('shutdown: { drain: 20 seconds }'),
    ['c.yaml:3:20 shutdown.drain: not a duration: "20 seconds"; write it like 500ms, 15s, 5m or 1h'],
  ],
  [
    'a duration that no timer can wait for',
    file.process('shutdown: { drain: 1000h }'),
    ['c.yaml:3:20 shutdown.drain: a duration is at most 596h'],
  ],
  [
    'a size with a wrong unit, a number out of range',
    file.process('limits: { frameBytes: 4MB2, depth: 5 }'),
    [
      'c.yaml:3:23 limits.frameBytes: not a size: "4MB2"; write it like 64KiB, 1MiB, 1GiB, 10kB or 1MB',
      'c.yaml:3:36 limits.depth: 5 is out of range; expected an integer from 16 to 4096',
    ],
  ],
  [
    'a fraction',
    file.process('limits: { depth: 12.5 }'),
    ['c.yaml:3:18 limits.depth: is a number; expected an integer from 16 to 4096'],
  ],
  [
    'a number as text',
    file.process('limits: { depth: "512" }'),
    ['c.yaml:3:18 limits.depth: is text; expected an integer from 16 to 4096'],
  ],
  [
    'a store that does not exist yet',
    file.process('state: { type: lease }'),
    ['c.yaml:3:16 state.type: "lease" is not valid; expected one of memory, file'],
  ],
  [
    'a state on disk without a folder',
    file.process('state: { type: file }'),
    ['c.yaml:3:16 state.type: a state on disk needs a folder; expected state.path beside it'],
  ],
  [
    'a folder of a state that is in memory',
    file.process('state: { path: /s }'),
    ['c.yaml:3:10 state.path: with type: memory nothing is written to a disk; expected type: file, or no path'],
  ],
  [
    'one folder for the state and the dead letters',
    file.process('state: { type: file, path: /s/ }\ndeadLetters: { path: /s }'),
    ['c.yaml:3:28 state.path: the folder is that of the dead letters, too; expected a folder of its own'],
  ],
  [
    '#250 a dotted key in a section',
    file.process('state: { a.b: 1 }'),
    ['c.yaml:3:10 state["a.b"]: unknown key; expected one of type, path, fsync'],
  ],
  [
    'P8 a key as text is not repeated',
    file.process('redaction: { key: hunter2hunter2 }'),
    [
      'c.yaml:3:19 redaction.key: a credential is never written into the configuration; expected none or { file: PATH }',
    ],
  ],
  [
    'a key from the environment',
    file.process('redaction: { key: { env: X } }'),
    [
      'c.yaml:3:19 redaction.key.file: is missing; expected text',
      'c.yaml:3:21 redaction.key.env: unknown key; expected file',
    ],
  ],
  [
    'paths that are none, or hide an identity',
    file.process('redaction: { paths: ["spec..a", metadata.name] }'),
    [
      'c.yaml:3:22 redaction.paths[0]: not a path: "spec..a", at column 5; write it as spec.users[*].password',
      'c.yaml:3:33 redaction.paths[1]: redaction of metadata.name would hide which object an event is about',
    ],
  ],
  [
    'an empty word',
    file.process('redaction: { env: [""] }'),
    ['c.yaml:3:20 redaction.env[0]: is too short; expected at least 1 character'],
  ],
  [
    'a number out of range, a key that does not exist yet',
    file.process('apiServer: { timeoutSeconds: 60, qps: 5 }'),
    [
      'c.yaml:3:30 apiServer.timeoutSeconds: 60 is out of range; expected an integer from 300 to 3600',
      'c.yaml:3:34 apiServer.qps: unknown key; expected one of pageSize, timeoutSeconds',
    ],
  ],
  [
    'an empty list of sources',
    file.sources('  []'),
    ['c.yaml:4:3 sources: is an empty list; expected at least one entry'],
  ],
  [
    'a mapping of sources',
    file.sources('  a: { resources: [pods] }'),
    ['c.yaml:4:3 sources: is a mapping; expected a list'],
  ],
  ['a source that is text', file.sources('  - pods'), ['c.yaml:4:5 sources[0]: is text; expected { resources: … }']],
  [
    'a source without resources',
    file.sources('  - name: a'),
    ['c.yaml:4:5 sources[0].resources: is missing; expected a list'],
  ],
  [
    'one resource without a list',
    file.sources('  - resources: pods'),
    ['c.yaml:4:16 sources[0].resources: is text; expected a list'],
  ],
  [
    'resources that kubectl prints otherwise',
    file.sources('  - name: a\n    resources: [Pods, "*", pods/log, apps/v1/deployments, po_ds, ""]'),
    [
      'c.yaml:5:17 sources[0].resources[0]: write it as kubectl prints it: the plural in lower case, as in pods or deployments.apps',
      'c.yaml:5:23 sources[0].resources[1]: a wildcard would watch everything: name the resources',
      'c.yaml:5:28 sources[0].resources[2]: write plural.group or plural.version.group, as in deployments.apps; subresources have no watch',
      'c.yaml:5:38 sources[0].resources[3]: write plural.group or plural.version.group, as in deployments.apps; subresources have no watch',
      'c.yaml:5:59 sources[0].resources[4]: write it as kubectl prints it: the plural in lower case, as in pods or deployments.apps',
      'c.yaml:5:66 sources[0].resources[5]: write it as kubectl prints it: the plural in lower case, as in pods or deployments.apps',
    ],
  ],
  [
    'a name with other characters',
    file.sources('  - { name: "A b/c", resources: [pods] }'),
    ['c.yaml:4:13 sources[0].name: "A b/c" is not valid; expected lower-case letters, digits, - and .'],
  ],
  [
    'two sources of one name',
    file.sources('  - { name: a, resources: [pods] }\n  - { name: a, resources: [nodes] }'),
    ['c.yaml:5:13 sources[1].name: source a is there twice; expected a name of its own for each'],
  ],
  [
    'two sources whose first resource is the same',
    file.sources('  - { resources: [pods], namespaces: [a] }\n  - { resources: [pods], namespaces: [b] }'),
    ['c.yaml:5:5 sources[1].name: source pods is there twice; expected a name of its own for each'],
  ],
  [
    'a resource twice, in two spellings',
    file.sources('  - { name: a, resources: [deployments.apps, deployments.v1.apps] }'),
    [
      'c.yaml:4:46 sources[0].resources[1]: resource deployments.v1.apps is there twice, also as deployments.apps; expected each once',
    ],
  ],
  [
    'two sources of one resource that overlap at a sink',
    file.sources('  - { name: a, resources: [pods, nodes] }\n  - { name: b, resources: [pods], namespaces: [shop] }'),
    [
      'c.yaml:5:27 sources[1].resources: pods reaches sink out from source a too, and their namespaces overlap; expected one source of a resource per sink, or namespaces that differ',
    ],
  ],
  [
    'a resource twice, once without its group',
    file.sources('  - { name: a, resources: [deployments, pods, deployments.apps, pods.v1] }'),
    [
      'c.yaml:4:47 sources[0].resources[2]: resource deployments.apps is there twice, also as deployments; expected each once',
      'c.yaml:4:65 sources[0].resources[3]: resource pods.v1 is there twice, also as pods; expected each once',
    ],
  ],
  [
    'two sources of one resource that overlap at a sink, in two spellings',
    file.sources('  - { name: a, resources: [widgets] }\n  - { name: b, resources: [widgets.v1.example.com] }'),
    [
      'c.yaml:5:27 sources[1].resources: widgets reaches sink out from source a too, and their namespaces overlap; expected one source of a resource per sink, or namespaces that differ',
    ],
  ],
  [
    'snapshots that follow one another faster than they can be sent',
    file.sources(
      '  - { resources: [pods], resync: { every: 1ms } }\n  - { resources: [nodes], resync: { every: 0ms } }',
    ),
    ['c.yaml:4:43 sources[0].resync.every: a snapshot takes longer than that; expected 0s for none, or at least 1s'],
  ],
  [
    'P8 Secrets without allowSecrets',
    file.sources('  - { name: a, resources: [pods, secrets] }'),
    ['c.yaml:4:34 sources[0].resources[1]: Secrets are not watched unless the source says allowSecrets: true'],
  ],
  [
    'yes is no boolean',
    file.sources('  - { name: a, resources: [secret], allowSecrets: yes }'),
    ['c.yaml:4:51 sources[0].allowSecrets: is text; expected true or false'],
  ],
  [
    'namespaces that cannot exist',
    file.sources('  - { name: a, resources: [pods], namespaces: [Shop, a.b, 7, shop, shop] }'),
    [
      'c.yaml:4:48 sources[0].namespaces[0]: "Shop" is not valid; expected a namespace: lower-case letters, digits and -, at most 63',
      'c.yaml:4:54 sources[0].namespaces[1]: "a.b" is not valid; expected a namespace: lower-case letters, digits and -, at most 63',
      'c.yaml:4:59 sources[0].namespaces[2]: is a number; expected a namespace: lower-case letters, digits and -, at most 63',
    ],
  ],
  [
    'an empty list of namespaces',
    file.sources('  - { name: a, resources: [pods], namespaces: [] }'),
    ['c.yaml:4:47 sources[0].namespaces: is an empty list; expected at least one entry'],
  ],
  [
    'a label selector with a comma too many',
    file.sources('  - { name: a, resources: [pods], labelSelector: "app=web,,x" }'),
    ['c.yaml:4:50 sources[0].labelSelector: label selector "app=web,,x", column 9: "," instead of a label key'],
  ],
  [
    'a label selector as a mapping',
    file.sources('  - { name: a, resources: [pods], labelSelector: { app: web } }'),
    [
      'c.yaml:4:50 sources[0].labelSelector: is a mapping; expected a label selector such as app=web,tier!=cache,env in (a,b),!spot',
    ],
  ],
  [
    'an empty label selector',
    file.sources('  - { name: a, resources: [pods], labelSelector: "" }'),
    ['c.yaml:4:50 sources[0].labelSelector: an empty selector: leave the key out to select all'],
  ],
  [
    'a field selector with `in`',
    file.sources('  - { name: a, resources: [pods], fieldSelector: "spec.nodeName in (a)" }'),
    ['c.yaml:4:50 sources[0].fieldSelector: "spec.nodeName in (a)" is not field=value, field==value or field!=value'],
  ],
  [
    'unknown keys of a source',
    file.sources('  - name: a\n    resources: [pods]\n    labelSelctor: app=web\n    cache: none'),
    [
      'c.yaml:6:5 sources[0].labelSelctor: unknown key; did you mean labelSelector?',
      'c.yaml:7:5 sources[0].cache: unknown key; expected one of name, resources, namespaces, labelSelector, fieldSelector, allowSecrets, resync',
    ],
  ],
  [
    'a selector of namespaces, which there is none of yet',
    file.sources('  - name: a\n    resources: [pods]\n    namespaceSelector: team=shop'),
    ['c.yaml:6:5 sources[0].namespaceSelector: unknown key; did you mean namespaces?'],
  ],
  [
    'a resync that does not exist',
    file.sources('  - { name: a, resources: [pods], resync: { every: 10, snapshot: deltas, verified: true } }'),
    [
      'c.yaml:4:52 sources[0].resync.every: is a number; expected a duration such as 500ms, 10s, 5m or 1h',
      'c.yaml:4:66 sources[0].resync.snapshot: "deltas" is not valid; did you mean delta?',
      'c.yaml:4:74 sources[0].resync.verified: unknown key; expected one of every, snapshot, verify',
    ],
  ],
  ['a mapping of routes', file.routes('  a: b'), ['c.yaml:4:3 routes: is a mapping; expected a list']],
  [
    'an empty route',
    file.routes('  - {}'),
    [
      'c.yaml:4:5 routes[0].name: is missing; expected lower-case letters, digits, - and .',
      'c.yaml:4:5 routes[0].to: is missing; expected a list',
    ],
  ],
  [
    'names of sources and sinks that do not exist',
    file.routes('  - { name: r, from: [al, nope], to: [ouy] }'),
    [
      'c.yaml:4:23 routes[0].from[0]: there is no source "al"; did you mean all?',
      'c.yaml:4:27 routes[0].from[1]: there is no source "nope"; expected all',
      'c.yaml:4:39 routes[0].to[0]: there is no sink "ouy"; did you mean out?',
    ],
  ],
  [
    'a route from nothing to nothing',
    file.routes('  - { name: r, from: [], to: [] }'),
    [
      'c.yaml:4:22 routes[0].from: is an empty list; expected at least one entry',
      'c.yaml:4:30 routes[0].to: is an empty list; expected at least one entry',
    ],
  ],
  [
    'a type of event, misspelled',
    file.routes('  - { name: r, to: [out], on: [add, updated, updated] }'),
    ['c.yaml:4:32 routes[0].on[0]: "add" is not valid; did you mean added?'],
  ],
  [
    'a sink twice in a route, two routes of one name',
    file.routes('  - { name: r, to: [out, out] }\n  - { name: r, to: [out] }'),
    [
      'c.yaml:4:26 routes[0].to[1]: sink out is there twice; expected each once',
      'c.yaml:5:13 routes[1].name: route r is there twice; expected a name of its own for each',
    ],
  ],
  [
    'keys of a route that do not exist yet',
    file.routes('  - { name: r, to: [out], when: "true", payload: { patch: true, shape: full } }'),
    [
      'c.yaml:4:27 routes[0].when: unknown key; expected one of name, from, to, where, on, payload',
      'c.yaml:4:52 routes[0].payload.patch: unknown key; expected one of shape, previous',
      'c.yaml:4:72 routes[0].payload.shape: "full" is not valid; expected one of object, metadata, reference, bare',
    ],
  ],
  [
    'other conditions of a route that do not exist yet',
    file.routes('  - { name: r, to: [out], changed: [spec], ignore: [heartbeats] }'),
    [
      'c.yaml:4:27 routes[0].changed: unknown key; expected one of name, from, to, where, on, payload',
      'c.yaml:4:44 routes[0].ignore: unknown key; expected one of name, from, to, where, on, payload',
    ],
  ],
  [
    'an expression that is none, of an unknown variable, that is not a condition',
    file.routes(
      "  - { name: a, to: [out], where: 'object.kind =' }\n" +
        "  - { name: b, to: [out], where: kind == 'Pod' }\n" +
        '  - { name: c, to: [out], where: size(object.spec) }',
    ),
    [
      'c.yaml:4:34 routes[0].where: not a CEL expression: unexpected character: = (character 13); equal is ==',
      'c.yaml:5:34 routes[1].where: not a CEL expression: unknown variable: kind (character 1); the only variable is object, and text is quoted, as in object.kind == "Pod"',
      'c.yaml:6:34 routes[2].where: gives a int, not true or false: compare it, as in size(object.spec.rules) > 0',
    ],
  ],
  [
    'an expression that could take hours',
    file.routes(
      "  - name: r\n    to: [out]\n    where: |\n      has(object.spec) &&\n      object.kind.matches('^(a+)+$')",
    ),
    [
      'c.yaml:6:12 routes[0].where: matches is not available (line 2, character 13): a regular expression can take hours on a text that fits it badly: use startsWith, endsWith, contains, or split, as in object.metadata.name.startsWith("web-")',
    ],
  ],
  [
    'an expression that is not text, or empty',
    file.routes("  - { name: a, to: [out], where: true }\n  - { name: b, to: [out], where: '' }"),
    [
      "c.yaml:4:34 routes[0].where: is true or false; expected a CEL expression such as object.kind == 'Pod'",
      'c.yaml:5:34 routes[1].where: an empty expression: leave the key out to let everything through',
    ],
  ],
  [
    'a bare object with its previous state',
    file.routes('  - { name: r, to: [out], payload: { shape: bare, previous: true } }'),
    [
      'c.yaml:4:61 routes[0].payload.previous: a bare object has no room for its previous state; expected false, or another shape',
    ],
  ],
  [
    'text that is not written as it has to be',
    file.sinks('  - { name: a, type: echo, to: x, region: west1 }'),
    ['c.yaml:4:43 sinks[0].region: is not valid; expected text such as west-1'],
  ],
  [
    'true where false or a mapping is due',
    file.sinks('  - { name: a, type: echo, to: x, create: true }\n  - { name: b, type: echo, to: x, create: {} }'),
    [
      'c.yaml:4:43 sinks[0].create: is true or false; expected false or { copies: … }',
      'c.yaml:5:43 sinks[1].create.copies: is missing; expected an integer of at least 1',
    ],
  ],
  ...[
    'kafka://broker:9092',
    'sasl://user:canary@broker:9092',
    'user@broker:9092',
    'broker',
    'a:1,b:2',
    '[::1]:9092',
    '::1:9092',
    'a b:1',
    '',
  ].map(
    (peer): Case => [
      `${JSON.stringify(peer)} as host:port, which is not repeated`,
      file.sinks(`  - { name: a, type: echo, to: x, peers: ["b:1", ${JSON.stringify(peer)}] }`),
      [
        'c.yaml:4:50 sinks[0].peers[1]: not host:port, as in kafka:9092: one host name or IPv4 address, without a scheme and without a login',
      ],
    ],
  ),
  ...['broker:0', 'broker:65536'].map(
    (peer): Case => [
      `${peer}, a port that there is not`,
      file.sinks(`  - { name: a, type: echo, to: x, peers: ["${peer}"] }`),
      ['c.yaml:4:43 sinks[0].peers[0]: a port is from 1 to 65535'],
    ],
  ),
  [
    'a sink without a type',
    file.sinks('  - { name: a }'),
    ['c.yaml:4:5 sinks[0].type: is missing; expected one of echo, kafka'],
  ],
  [
    'a type that is a number',
    file.sinks('  - { name: a, type: 5 }'),
    ['c.yaml:4:22 sinks[0].type: is not text; expected one of echo, kafka'],
  ],
  [
    'types of sinks that do not exist',
    file.sinks('  - { name: a, type: ehco, whatever: 1 }\n  - { name: b, type: eventbridge }'),
    [
      'c.yaml:4:22 sinks[0].type: there is no type of sink "ehco"; did you mean echo?',
      'c.yaml:5:22 sinks[1].type: there is no type of sink "eventbridge"; expected one of echo, kafka',
    ],
  ],
  [
    'a sink without a name',
    file.sinks('  - { type: echo, to: x }'),
    ['c.yaml:4:5 sinks[0].name: is missing; expected lower-case letters, digits, - and .'],
  ],
  [
    'two sinks of one name',
    file.sinks('  - { name: a, type: echo, to: x }\n  - { name: a, type: echo, to: x }'),
    ['c.yaml:5:13 sinks[1].name: sink a is there twice; expected a name of its own for each'],
  ],
  [
    'a queue that cannot be',
    file.sinks('  - { name: a, type: echo, to: x, queue: { whenFull: stop, event: 1, bytes: 0 } }'),
    [
      'c.yaml:4:54 sinks[0].queue.whenFull: "stop" is not valid; expected one of coalesce, block, spool',
      'c.yaml:4:60 sinks[0].queue.event: unknown key; did you mean events?',
      'c.yaml:4:77 sinks[0].queue.bytes: a size is above 0',
    ],
  ],
  [
    'a spool without a folder, and a folder without a spool',
    file.sinks(
      '  - { name: a, type: echo, to: x, queue: { whenFull: spool } }\n' +
        '  - { name: b, type: echo, to: x, queue: { spool: { path: /b, fsync: often } } }\n' +
        '  - { name: c, type: echo, to: x, queue: { spool: { path: /c } } }\n' +
        '  - { name: d, type: echo, to: x, queue: { whenFull: spool, spool: { bytes: 1GiB } } }',
    ),
    [
      'c.yaml:4:54 sinks[0].queue.whenFull: a spool needs a folder on a disk; expected queue.spool.path beside it',
      'c.yaml:5:70 sinks[1].queue.spool.fsync: "often" is not valid; expected one of always, interval, none',
      'c.yaml:6:44 sinks[2].queue.spool: with whenFull: coalesce nothing is written to a disk; expected whenFull: spool, or no spool',
      'c.yaml:7:68 sinks[3].queue.spool.path: is missing; expected text',
    ],
  ],
  [
    'folders that two would use',
    `${file.sinks(
      '  - { name: a, type: echo, to: x, queue: { whenFull: spool, spool: { path: /var/a } } }\n' +
        '  - { name: b, type: echo, to: x, queue: { whenFull: spool, spool: { path: /var/b/../a/ } } }\n' +
        '  - { name: c, type: echo, to: x, queue: { whenFull: spool, spool: { path: /var/dead } } }',
    )}\ndeadLetters: { path: /var/dead }`,
    [
      'c.yaml:5:76 sinks[1].queue.spool.path: the folder is that of sink a, too; expected a folder of its own',
      'c.yaml:6:76 sinks[2].queue.spool.path: the folder is that of the dead letters, too; expected a folder of its own',
    ],
  ],
  [
    'common keys out of range or of another type',
    file.sinks('  - { name: a, type: echo, to: x, concurrency: 0, required: "no", order: any }'),
    [
      'c.yaml:4:48 sinks[0].concurrency: 0 is out of range; expected an integer from 1 to 10000',
      'c.yaml:4:61 sinks[0].required: is text; expected true or false',
      'c.yaml:4:74 sinks[0].order: "any" is not valid; expected one of key, none',
    ],
  ],
  [
    'delays that contradict each other',
    file.sinks('  - { name: a, type: echo, to: x, timeout: 0, retry: { initial: 10m } }'),
    [
      'c.yaml:4:44 sinks[0].timeout: an attempt needs some time; expected more than 0',
      'c.yaml:4:65 sinks[0].retry.initial: the first delay is above the longest, which is 5m; expected at most retry.max',
    ],
  ],
  [
    'a required key of the type is missing',
    file.sinks('  - { name: a, type: echo, mode: lowd }'),
    [
      'c.yaml:4:5 sinks[0].to: is missing; expected text',
      'c.yaml:4:34 sinks[0].mode: "lowd" is not valid; did you mean loud?',
    ],
  ],
  [
    'an empty text',
    file.sinks('  - { name: a, type: echo, to: "" }'),
    ['c.yaml:4:32 sinks[0].to: is too short; expected at least 1 character'],
  ],
  [
    'a text that is too long',
    file.sinks(`  - { name: a, type: echo, to: "${'x'.repeat(41)}" }`),
    ['c.yaml:4:32 sinks[0].to: is too long; expected at most 40 characters'],
  ],
  [
    'P8 a credential as text',
    file.sinks('  - { name: a, type: echo, to: x, token: hunter2 }'),
    [
      'c.yaml:4:42 sinks[0].token: a credential is never written into the configuration; expected { env: NAME } or { file: PATH }',
    ],
  ],
  [
    'P8 a credential as a number',
    file.sinks('  - { name: a, type: echo, to: x, token: 12345 }'),
    [
      'c.yaml:4:42 sinks[0].token: a credential is never written into the configuration; expected { env: NAME } or { file: PATH }',
    ],
  ],
  [
    'a credential from an unknown place',
    file.sinks('  - { name: a, type: echo, to: x, token: { evn: A } }'),
    ['c.yaml:4:42 sinks[0].token: is a mapping; expected { env: NAME } or { file: PATH }'],
  ],
  [
    'a credential from two places',
    file.sinks('  - { name: a, type: echo, to: x, token: { env: A, file: /b } }'),
    ['c.yaml:4:42 sinks[0].token: is a mapping; expected { env: NAME } or { file: PATH }'],
  ],
  [
    'a credential from a variable without a name',
    file.sinks('  - { name: a, type: echo, to: x, token: { env: "" } }'),
    ['c.yaml:4:49 sinks[0].token.env: is too short; expected at least 1 character'],
  ],
  [
    'P8 a credential inside an alternative',
    file.sinks('  - { name: a, type: echo, to: x, auth: { bearer: hunter2 } }'),
    [
      'c.yaml:4:51 sinks[0].auth.bearer: a credential is never written into the configuration; expected { env: NAME } or { file: PATH }',
    ],
  ],
  [
    'P8 a credential and an unknown key inside an alternative',
    file.sinks('  - { name: a, type: echo, to: x, auth: { basic: { username: me, password: hunter2, realm: x } } }'),
    [
      'c.yaml:4:76 sinks[0].auth.basic.password: a credential is never written into the configuration; expected { env: NAME } or { file: PATH }',
      'c.yaml:4:85 sinks[0].auth.basic.realm: unknown key; expected one of username, password',
    ],
  ],
  [
    'an alternative that does not exist, and the next sink is reported all the same',
    file.sinks(
      '  - { name: a, type: echo, to: x, auth: { oauth2: { } } }\n  - { name: b, type: echo, to: x, auth: { bearer: hunter2 } }',
    ),
    [
      'c.yaml:4:41 sinks[0].auth: is a mapping; expected { bearer: … } or { basic: … }',
      'c.yaml:5:51 sinks[1].auth.bearer: a credential is never written into the configuration; expected { env: NAME } or { file: PATH }',
    ],
  ],
  [
    'a free mapping with a value of another type',
    file.sinks('  - { name: a, type: echo, to: x, headers: { a: 1 } }'),
    ['c.yaml:4:49 sinks[0].headers.a: is a number; expected text or { env: NAME } or { file: PATH }'],
  ],
  [
    'an unknown key in a value of a free mapping',
    file.sinks('  - { name: a, type: echo, to: x, headers: { a: { env: A, b: 1 } } }'),
    ['c.yaml:4:59 sinks[0].headers.a.b: unknown key; expected env'],
  ],
  [
    'what the type itself refuses, at its key',
    file.sinks('  - { name: a, type: echo, to: nowhere }'),
    ['c.yaml:4:32 sinks[0].to: nowhere is no place; write it like somewhere'],
  ],
  [
    'what the type itself refuses, at a nested key',
    file.sinks('  - { name: a, type: echo, to: x, network: { allow: [0/0] } }'),
    ['c.yaml:4:53 sinks[0].network.allow: only 10/8 is known'],
  ],
  [
    'what the type itself refuses as a whole',
    file.sinks('  - { name: a, type: echo, to: limitless }'),
    ['c.yaml:4:5 sinks[0]: there are no limits for it'],
  ],
]

for (const [mistake, text, lines] of cases) {
  test(`refused: ${mistake}`, async () => assert.deepEqual(await problemsOf(text), lines))
}

test('every mistake of a file is reported at once, in the order of the file', async () => {
  const text = `apiVersion: deltawire.io/v1
kind: Bridge
log: { level: debgu }
sources:
  - { name: a, resources: [pods], labelSelctor: x }
  - { name: b, resources: [secrets] }
routes:
  - { name: r, from: [c], to: [out] }
sinks:
  - { name: out, type: echo, to: nowhere }
  - { name: other, type: ehco }
`
  assert.deepEqual(
    await problemsOf(text, { env: { DELTAWIRE_LIMITS_DEPTH: 'x' }, args: { 'shutdown.drain': '1', 'log.levle': 'x' } }),
    [
      'c.yaml:3:15 log.level: "debgu" is not valid; did you mean debug?',
      'c.yaml:5:35 sources[0].labelSelctor: unknown key; did you mean labelSelector?',
      'c.yaml:6:28 sources[1].resources[0]: Secrets are not watched unless the source says allowSecrets: true',
      'c.yaml:8:23 routes[0].from[0]: there is no source "c"; expected one of a, b',
      'c.yaml:10:34 sinks[0].to: nowhere is no place; write it like somewhere',
      'c.yaml:11:26 sinks[1].type: there is no type of sink "ehco"; did you mean echo?',
      'argument --log.levle: unknown argument; did you mean log.level?',
      'argument --shutdown.drain: not a duration: "1"; write it like 500ms, 15s, 5m or 1h',
      'environment DELTAWIRE_LIMITS_DEPTH limits.depth: is text; expected an integer from 16 to 4096',
    ],
  )
})

test('a file of nothing but mistakes is reported in bounded time and length', async () => {
  const keys = Array.from({ length: 3000 }, (_, index) => `key${index}: 1`)
  assert.equal((await problemsOf(HEAD + keys.join('\n'))).length, 500)
})
