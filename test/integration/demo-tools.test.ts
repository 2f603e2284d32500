import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { promisify } from 'node:util'
import { copyInstalledManifests } from '../../examples/artefact-observatory/manifests.ts'
import { assessment, csvOf, type Package, packageOf, sorted } from '../support/package-table.ts'

const run = promisify(execFile)
const PROJECT = join(import.meta.dirname, '..', '..')

// The tools run as a node runs them: no network, nothing writable but the mounted data, nobody's rights.
const CONFINED = ['--network', 'none', '--read-only', '--user', '65534:65534', '--cap-drop', 'ALL']

/** A directory that the tool's user may write. */
async function openDirectory(path: string): Promise<string> {
  await mkdir(path, { recursive: true })
  await chmod(path, 0o777)
  return path
}

async function runTool(image: string, input: string, data: string, env: Record<string, string> = {}) {
  const mounts = ['-v', `${input}:/usr/src/app/input:ro`, '-v', `${data}:/usr/src/app/data`]
  const variables = Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`])
  return run('docker', ['run', '--rm', ...CONFINED, ...mounts, ...variables, image], { timeout: 60_000 })
}

suite('the tools of the example, in containers', () => {
  let directory: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mao-tools-'))
    await chmod(directory, 0o755)
  })
  after(() => rm(directory, { recursive: true, force: true }))

  /** A fresh input and data directory; the manifests are written by their file names. */
  async function place(name: string, manifests: Record<string, string | Uint8Array> = {}) {
    const input = join(directory, name, 'input')
    await mkdir(join(input, 'manifests'), { recursive: true })
    for (const [file, text] of Object.entries(manifests))
      await writeFile(join(input, 'manifests', file), text)
    return { input, data: await openDirectory(join(directory, name, 'data')) }
  }

  async function packagesUnder(input: string): Promise<Package[]> {
    const names = await readdir(join(input, 'manifests'))
    const texts = await Promise.all(names.map((name) => readFile(join(input, 'manifests', name), 'utf8')))
    return sorted(texts.map((text) => packageOf(JSON.parse(text))))
  }

  test('collect lists every installed package exactly as an independent reading does', async () => {
    const { input, data } = await place('installed')
    const count = await copyInstalledManifests(PROJECT, input)
    assert.ok(count > 200, `only ${count} manifests are installed`)
    const started = performance.now()
    await runTool('mao/collect:1', input, data)
    const tookMs = performance.now() - started
    const packages = await packagesUnder(input)
    assert.equal(await readFile(join(data, 'packages-0001.csv'), 'utf8'), csvOf(packages))
    assert.equal(await readFile(join(data, 'control-0001.csv'), 'utf8'), `${count}\n`)
    assert.ok(tookMs < 15_000, `${count} manifests took ${tookMs} ms`)

    // What assess makes of it, again computed twice.
    const results = await openDirectory(join(directory, 'installed', 'results'))
    await runTool('mao/assess:1', data, results)
    const expected = assessment(packages)
    assert.equal(await readFile(join(results, 'assessment-0001.csv'), 'utf8'), expected.csv)
    assert.equal(await readFile(join(results, 'control-0001.csv'), 'utf8'), `${expected.permissive}\n`)
    assert.deepEqual(JSON.parse(await readFile(join(results, 'insights.json'), 'utf8')), {
      snapshot: 'packages-0001.csv',
      ...expected.insights,
    })
  })

  test('collect understands old and odd manifests', async () => {
    const odd = {
      'legacy.json':
        '{"name":"legacy","version":"0.0.1","licenses":[{"type":"MIT","url":"u"},"Apache-2.0"],"author":"Ann Old <a@b.c> (http://x)"}',
      'object.json':
        '{"name":"object","version":"1.0.0","license":{"type":"ISC"},"maintainers":[{"name":"Zed"},"Yan; Co <y@z>",{"name":"Zed"}],"contributors":[{"email":"no@name"}]}',
      'quoted.json':
        '{"name":"quoted","version":"1.0.0","license":"SEE \\"LICENSE\\", please","author":{"name":"O\\u0027Brien, \\u00e9\\u20ac\\ud83d\\ude00 \\ud800 \\"Q\\" \\\\ \\/"}}',
      'twice.json':
        '{"name":"first","name":"twice","version":"1.0.0","dependencies":{"a":"1","b":"2"},"dependencies":{"a":"1","a":"2"}}',
      'nested.json':
        '{"exports":{".":[{"name":"not this","version":"9"},[[]],{}]},"name":"@scope/nested","version":"2.0.0-rc.1+b","license":"  (MIT  OR\\tISC) ","dependencies":{}}',
      'crlf.json':
        '\uFEFF{\r\n\t"name": "crlf",\r\n\t"version": "1.0.0", "n": [-0, 1.5e+3, true, false, null],\r\n "license": "BSD"}\r\n',
      'raw.json': '{"name":"raw-utf8","version":"1.0.0","author":"Zoë Ünal 李"}',
    }
    const { input, data } = await place('odd', odd)
    await runTool('mao/collect:1', input, data)
    const packages = sorted(
      Object.values(odd).map((text) => packageOf(JSON.parse(text.replace('\uFEFF', '')))),
    )
    assert.equal(await readFile(join(data, 'packages-0001.csv'), 'utf8'), csvOf(packages))
    assert.match(csvOf(packages), /^legacy,0\.0\.1,\(MIT OR Apache-2\.0\),0,Ann Old$/m)
  })

  test('collect leaves a manifest that is no JSON out, and names it', async () => {
    const broken = [
      '{"name":"a","version":"1"',
      '{"name":"a","version":"1",}',
      '{"name":"a" "version":"1"}',
      '{"name":"a","version":01}',
      '{"name":"\\x","version":"1"}',
      '["name",}',
      '{"name":"a","version":"1"} {}',
      '"name',
      'nul',
      '',
      '{"name":"no version"}',
    ]
    const manifests = Object.fromEntries(broken.map((text, n) => [`broken-${n}.json`, text]))
    const { input, data } = await place('broken', {
      ...manifests,
      'good.json': '{"name":"good","version":"1.0.0"}',
    })
    const { stderr } = await runTool('mao/collect:1', input, data)
    assert.equal(
      await readFile(join(data, 'packages-0001.csv'), 'utf8'),
      csvOf([packageOf({ name: 'good', version: '1.0.0' })]),
    )
    for (const name of Object.keys(manifests))
      assert.ok(stderr.includes(name), `${name} was left out without a word`)
  })

  test('every run writes new files, named after the slot where there is one', async () => {
    const { input, data } = await place('again', { 'a.json': '{"name":"a","version":"1.0.0"}' })
    await runTool('mao/collect:1', input, data)
    const first = await readFile(join(data, 'packages-0001.csv'))
    await runTool('mao/collect:1', input, data)
    await runTool('mao/collect:1', input, data, { MAO_SLOT: '1763716800000' })
    const expected = ['0001', '0002', '1763716800000'].flatMap((stamp) => [
      `control-${stamp}.csv`,
      `packages-${stamp}.csv`,
    ])
    assert.deepEqual((await readdir(data)).sort(), expected.sort())
    assert.deepEqual(await readFile(join(data, 'packages-0001.csv')), first)
    // The same slot a second time would overwrite a result.
    await assert.rejects(
      runTool('mao/collect:1', input, data, { MAO_SLOT: '1763716800000' }),
      /not overwritten/,
    )
    assert.deepEqual((await readdir(data)).sort(), expected.sort(), 'a refused run left something behind')
  })

  test('the fault injector loses every n-th package from the named run on', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    const manifests = Object.fromEntries(
      names.map((name) => [`${name}.json`, JSON.stringify({ name, version: '1.0.0' })]),
    )
    const { input, data } = await place('lossy', manifests)
    const faulty = { LOSE_EVERY: '3', LOSE_FROM: '2' }
    await runTool('mao/collect:1', input, data, faulty)
    await runTool('mao/collect:1', input, data, faulty)
    const namesIn = async (file: string) =>
      (await readFile(join(data, file), 'utf8'))
        .trim()
        .split('\n')
        .slice(1)
        .map((row) => row[0])
    assert.deepEqual(await namesIn('packages-0001.csv'), names)
    assert.deepEqual(await namesIn('packages-0002.csv'), ['a', 'b', 'd', 'e', 'g'])
    assert.equal(await readFile(join(data, 'control-0002.csv'), 'utf8'), '5\n')
  })

  test('assess judges licence expressions by their grammar, and waits where nothing was agreed on yet', async () => {
    const { input, data } = await place('assess')
    const empty = await runTool('mao/assess:1', input, data)
    assert.match(empty.stdout, /nothing to assess/)
    assert.deepEqual(await readdir(data), [])

    const licences: [string, boolean][] = [
      ['MIT', true],
      ['GPL-3.0-only', false],
      ['(MIT OR GPL-3.0-only)', true],
      ['(MIT AND GPL-3.0-only)', false],
      ['(MIT AND (GPL-2.0 OR ISC))', true],
      ['Apache-2.0 WITH LLVM-exception', true],
      ['(MIT', false],
      ['MIT)', false],
      ['', false],
      ['UNLICENSED', false],
      ['MIT OR', true],
      ['SEE "LICENSE", please', false],
    ]
    const packages = licences.map(([license], n) => packageOf({ name: `p${n}`, version: '1.0.0', license }))
    await writeFile(join(input, 'packages-0001.csv'), csvOf([]))
    await writeFile(join(input, 'packages-0002.csv'), csvOf(packages))
    await runTool('mao/assess:1', input, data)
    const permissive = licences.filter(([, yes]) => yes).length
    assert.equal(await readFile(join(data, 'control-0001.csv'), 'utf8'), `${permissive}\n`)
    assert.match(
      await readFile(join(data, 'assessment-0001.csv'), 'utf8'),
      /^licence,"SEE ""LICENSE"", please",1$/m,
    )
    assert.equal(
      JSON.parse(await readFile(join(data, 'insights.json'), 'utf8')).snapshot,
      'packages-0002.csv',
    )
  })
})
