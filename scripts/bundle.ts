/**
 * `node scripts/bundle.ts FOLDER`: the program as the image holds it, without node_modules. What a configuration does not
 * use (kafkajs, the AWS SDK) is in files that are not loaded then. The same sources give the same bytes.
 */
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { Ajv } from 'ajv'
import { _ } from 'ajv/dist/compile/codegen/index.js'
import standalone from 'ajv/dist/standalone/index.js'
import { build, type Plugin } from 'esbuild'
import packageJson from '../package.json' with { type: 'json' }
import { sinkTypes } from '../sinks/index.ts'
import { schemasOf } from '../src/config/bridge-config.ts'
import { formatTests } from '../src/config/formats.ts'
import { ajvOptions, digestOf } from '../src/config/validator.ts'

const root = resolve(import.meta.dirname, '..')

/**
 * What sinks that are not part of the product import, in the image as everywhere: `deltawire/sink` is `sink.mjs`, one
 * with the program, whose chunks it shares.
 */
const doors = { sink: packageJson.exports['./sink'], events: packageJson.exports['./events'] }

/** What lies beside the program: files that it reads, and its licence. */
const files = ['src/cli/demo.yaml', 'LICENSE']

/** Fills src/config/compiled-ahead.ts. A schema that is forgotten here cannot be checked in the image, which says so. */
const compiledAhead: Plugin = {
  name: 'compiled-ahead',
  setup({ onLoad }) {
    onLoad({ filter: /\/src\/config\/compiled-ahead\.ts$/ }, async () => ({
      contents: await validators(),
      loader: 'js',
      resolveDir: join(root, 'src/config'),
    }))
  },
}

async function validators(): Promise<string> {
  const modules = await Promise.all(Object.values(sinkTypes).map((load) => load()))
  const { file, process, sinks } = schemasOf(modules.map(({ sink }) => sink))
  const ajv = new Ajv({
    ...ajvOptions,
    formats: formatTests,
    code: { source: true, esm: true, formats: _`formatTests` },
  })
  const named = [file, process, ...sinks.values()].map((schema, index) => {
    ajv.addSchema(schema, String(index))
    return { name: `validate${index}`, key: String(index), digest: digestOf(schema) }
  })
  return [
    "import { formatTests } from './formats.ts'",
    standalone.default(ajv, Object.fromEntries(named.map(({ name, key }) => [name, key]))),
    `export const compiledAhead = { ${named.map(({ name, digest }) => `'${digest}': ${name}`).join(', ')} }`,
  ].join('\n')
}

const [folder] = process.argv.slice(2)
if (folder === undefined) {
  console.error('usage: node scripts/bundle.ts FOLDER')
  process.exit(2)
}
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: { main: 'src/main.ts', ...doors },
  outdir: resolve(folder),
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  metafile: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  // CommonJS packages ask for Node's own modules with it
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  plugins: [compiledAhead],
})
for (const file of files) await copyFile(join(root, file), join(folder, basename(file)))
const { name, version } = packageJson
const exported = Object.fromEntries(Object.keys(doors).map((door) => [`./${door}`, `./${door}.mjs`]))
await writeFile(join(folder, 'package.json'), `${JSON.stringify({ name, version, exports: exported }, null, 2)}\n`)
await writeFile(join(folder, 'LICENSES.packages'), await licenses(Object.keys(metafile.inputs)))

/** What the licences of the packages in the bundle ask for: their texts, each once. */
async function licenses(inputs: readonly string[]): Promise<string> {
  const folders = inputs.flatMap((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(input) ?? [])
  const texts = new Map<string, string[]>()
  for (const path of [...new Set(folders)].sort()) {
    const read = async (file: string) => (await readFile(join(root, path, file), 'utf8')).trim()
    const { name, version, license } = JSON.parse(await read('package.json')) as Readonly<Record<string, string>>
    const files = (await readdir(join(root, path))).filter((file) => /^(?:licen[cs]e|notice|copying)\b/i.test(file))
    const text = (await Promise.all(files.sort().map(read))).join('\n\n')
    texts.set(text, [...(texts.get(text) ?? []), `${name} ${version} (${license})`])
  }
  return [...texts].map(([text, packages]) => `==== ${packages.join(', ')}\n\n${text}\n`).join('\n')
}
