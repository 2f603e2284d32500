import assert from 'node:assert/strict'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { type Answers, multiaddrFrom, settingsOf } from '../../src/cli/install/answers.ts'
import { beforeIn } from '../../src/cli/install/before.ts'
import { checkLines, type Facts, judgeAll } from '../../src/cli/install/checks.ts'
import { composeText } from '../../src/cli/install/compose-text.ts'
import { configText } from '../../src/cli/install/config-text.ts'
import { nextCommands, shellWord } from '../../src/cli/install/next-commands.ts'
import { giveTo, ownerIn } from '../../src/cli/install/owner.ts'
import { writeFiles } from '../../src/cli/install/plan.ts'
import { unitNameOf, unitText, unitWord } from '../../src/cli/install/unit-text.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const answers: Answers = {
  ...{ data: '/home/a/.mao', name: 'alice', runner: 'user-service', listenHost: '0.0.0.0', listenPort: 4001 },
  ...{ announce: undefined, bootstrap: [], apiPort: 8080, etcdPort: 2379, sshKey: true },
  way: { kind: 'later' },
  author: { name: '', email: '' },
}

const facts: Facts = {
  ...{ nodeVersion: '24.1.0', git: '2.39.5', user: 'a', existing: [], addresses: ['8.8.8.8'] },
  docker: { version: '20.10' },
  data: { path: '/home/a/.mao', freeBytes: 1e12 },
  unit: { path: '/home/a/.config/systemd/user/mao.service' },
  ports: [],
  clock: { nowMs: 2e12, notBeforeMs: 1e12, synchronised: true },
  systemd: { runs: true, userRuns: true, lingers: true },
}

const port = { name: 'peers', host: '0.0.0.0', port: 4001, flag: '--listen-port', isOptional: false }

test('each fact has its verdict, and what is not well says what to do', () => {
  assert.deepEqual([...new Set(judgeAll(facts, answers).map(({ verdict }) => verdict))], ['ok'])
  const docker = (code: string) => ({ docker: { code, reason: 'x', socketPath: '/s' } })
  const cases: [more: Partial<Facts>, name: string, verdict: string, advice: RegExp][] = [
    [{ nodeVersion: '22.17.9' }, 'Node.js', 'bad', /nodejs\.org/],
    [{ git: undefined as never }, 'git', 'warn', /install git/],
    [docker('EACCES'), 'Docker engine', 'warn', /usermod -aG docker a/],
    [docker('ENOENT'), 'Docker engine', 'warn', /install one/],
    [docker('ECONNREFUSED'), 'Docker engine', 'warn', /start it/],
    [{ data: { path: '/x', refused: 'no' } }, 'data directory', 'bad', /--data DIR/],
    [{ data: { path: '/x', freeBytes: 1e6 } }, 'disk', 'bad', /--data DIR/],
    [{ data: { path: '/x', freeBytes: 1e9 } }, 'disk', 'warn', /free some/],
    [{ ports: [{ ...port, refused: 'EADDRINUSE' }] }, 'port 4001 (peers)', 'bad', /--listen-port/],
    [
      { ports: [{ ...port, isOptional: true, refused: 'EACCES' }] },
      'port 4001 (peers)',
      'warn',
      /--listen-port/,
    ],
    [{ clock: { nowMs: 1e11, notBeforeMs: 1e12 } }, 'clock', 'bad', /time server/],
    [{ clock: { nowMs: 2e12, notBeforeMs: 1e12, synchronised: false } }, 'clock', 'warn', /time server/],
    [{ systemd: { runs: true, userRuns: false } }, 'systemd', 'warn', /command below/],
    [{ systemd: { runs: true, userRuns: true, lingers: false } }, 'systemd', 'warn', /enable-linger a/],
    [{ addresses: ['192.168.1.2'] }, 'reachable at', 'warn', /--reachable/],
    [{ unit: { path: '/u', refused: 'no' } }, 'systemd unit', 'bad', /XDG_CONFIG_HOME/],
    [{ running: 'http://127.0.0.1:8080' }, 'earlier installation', 'warn', /next start/],
  ]
  for (const [more, name, verdict, advice] of cases) {
    const check = judgeAll({ ...facts, ...more }, answers).find((each) => each.name === name)
    assert.equal(check?.verdict, verdict, name)
    assert.match(check?.advice ?? '', advice)
    assert.match(checkLines([check as never]).join('\n'), /^[!✗] .*\n +→ /)
  }
  const ours = judgeAll(
    { ...facts, running: 'http://x', ports: [{ ...port, refused: 'EADDRINUSE' }] },
    answers,
  )
  assert.equal(ours.find(({ name }) => name.startsWith('port'))?.verdict, 'ok')
  const reach = (announce: string) =>
    judgeAll(facts, { ...answers, announce }).find(({ name }) => name === 'reachable at')?.verdict
  assert.deepEqual(
    ['/dns4/n.example.org/tcp/1', '/ip4/8.8.4.4/tcp/1', '/ip4/10.0.0.1/tcp/1', '/ip4/127.0.0.1/tcp/1'].map(
      reach,
    ),
    ['ok', 'ok', 'warn', 'bad'],
  )
})

test('what people call an address becomes one that peers dial, or nothing', () => {
  assert.equal(multiaddrFrom('node.example.org', 4001), '/dns4/node.example.org/tcp/4001')
  assert.equal(multiaddrFrom('Node.Example.org:99', 4001), '/dns4/node.example.org/tcp/99')
  assert.equal(multiaddrFrom('192.0.2.7', 4001), '/ip4/192.0.2.7/tcp/4001')
  assert.equal(multiaddrFrom('2001:db8::7', 4001), '/ip6/2001:db8::7/tcp/4001')
  assert.equal(multiaddrFrom('[2001:db8::7]:99', 4001), '/ip6/2001:db8::7/tcp/99')
  assert.equal(multiaddrFrom('/dns4/a/tcp/1', 4001), '/dns4/a/tcp/1')
  for (const wrong of ['1.2.3', 'a b', 'http://x', 'x:0', 'x:70000', '-x', '/tcp/1', '']) {
    assert.equal(multiaddrFrom(wrong, 4001), undefined, wrong)
  }
})

test('settings of a person are kept, word by word, when the answers change', () => {
  const first = configText(settingsOf(answers))
  assert.equal(configText(settingsOf(answers), first), first)
  assert.equal(
    configText(
      settingsOf(answers),
      '{name: alice, listen: [/ip4/0.0.0.0/tcp/4001], mdns: true, api: {port: 8080}, etcd: {port: 2379}} # so',
    ),
    '{name: alice, listen: [/ip4/0.0.0.0/tcp/4001], mdns: true, api: {port: 8080}, etcd: {port: 2379}} # so',
  )
  const own = `# mine\nname: old\napi:\n  allowedHosts: [a.example.org] # ours\nlog: { level: warn }\n`
  const changed = configText(settingsOf(answers), own)
  assert.match(changed, /^# mine\nname: alice$/m)
  assert.match(changed, /allowedHosts: \[ ?a\.example\.org ?\] # ours/)
  assert.deepEqual(parse(changed).log, { level: 'warn' })
  assert.equal(parse(changed).api.port, 8080)
  assert.equal(beforeIn(changed).name, 'alice')
  for (const wrong of ['- a list', '{ unclosed']) {
    assert.throws(() => configText({}, wrong), { code: 'INVALID_CONFIG' })
    assert.equal(beforeIn(wrong).apiPort, 8080)
  }
})

test('an earlier installation is the default of the next', () => {
  const said = settingsOf({
    ...answers,
    announce: '/dns4/a/tcp/1',
    listenPort: 7,
    author: { name: 'A', email: 'a@b' },
  })
  const { isThere, ...before } = beforeIn(configText(said))
  assert.ok(isThere)
  assert.deepEqual(before, {
    ...{ name: 'alice', listenHost: '0.0.0.0', listenPort: 7, announce: '/dns4/a/tcp/1', bootstrap: [] },
    ...{ apiPort: 8080, etcdPort: 2379, author: { name: 'A', email: 'a@b' } },
  })
})

test('paths with spaces, dollars and percent signs reach their programs as they are', () => {
  assert.equal(unitWord('/a b/50%$x"y'), '"/a b/50%%$$x\\"y"')
  assert.equal(shellWord("it's"), "'it'\\''s'")
  assert.equal(unitNameOf('/home/a/.mao', '/home/a/.mao'), 'mao.service')
  assert.equal(unitNameOf('/srv/mao data/b', '/home/a/.mao'), 'mao-srv-mao-data-b.service')
  const compose = composeText({
    ...{ name: 'a', data: '/srv/a: $b', listen: [], apiPort: 1, socketPath: '/s', source: undefined },
    ids: { user: 1000, group: 60, docker: 998 },
  })
  const { node } = parse(compose, { version: '1.1' }).services
  assert.equal(node.user, '1000:60')
  assert.equal(node.environment.MAO_DATA, '/srv/a: $$b')
  assert.equal(node.build, undefined)
})

test('a service of the machine is boxed in, one of a user keeps the groups that Docker asks for', () => {
  const parts = { name: 'a', data: '/srv/a', program: ['/usr/bin/node', '/m.js'] }
  const machine = unitText({ ...parts, system: { user: 'a', isRoot: false, groups: ['docker'] } })
  assert.match(machine, /^User=a\nSupplementaryGroups=docker$/m)
  assert.match(machine, /^ReadWritePaths=\/srv\/a$/m)
  assert.match(machine, /^CapabilityBoundingSet=$/m)
  assert.doesNotMatch(
    unitText({ ...parts, system: { user: 'root', isRoot: true, groups: [] } }),
    /Capability/,
  )
  assert.doesNotMatch(
    unitText({ ...parts, data: '/tmp/a', system: { user: 'a', isRoot: false, groups: [] } }),
    /PrivateTmp/,
  )
  const users = unitText({ ...parts, system: undefined })
  assert.doesNotMatch(users, /Protect|Private|User=/)
  assert.match(users, /^NoNewPrivileges=yes$/m)
})

test('the next commands name no token, and the directory only where it is not the usual one', () => {
  const paths = { unit: '/u', unitName: 'mao.service', compose: '/c d/compose.yaml' }
  const join = nextCommands({ ...answers, way: { kind: 'join', token: 'mao1-secret' } }, paths, answers.data)
  assert.deepEqual(join.afterwards, ['maoctl federation join -', 'maoctl instance init'])
  assert.equal(join.start[1], 'systemctl --user enable --now mao.service')
  const compose = nextCommands({ ...answers, runner: 'compose' }, paths, '/elsewhere')
  assert.deepEqual(compose.start, ["docker compose --file '/c d/compose.yaml' up --detach"])
  assert.deepEqual(compose.afterwards, ['maoctl --data /home/a/.mao instance init'])
})

test('what root writes for whoever called it is theirs, the directories on the way too, and the unit is not', async (t) => {
  const passwd =
    'root:x:0:0:root:/root:/bin/bash\nann:x:1001:1002:Ann,,,:/home/ann:/bin/sh\nbad:x::1:b:/h:/s\n'
  assert.deepEqual(ownerIn(passwd, 'ann'), { user: 'ann', uid: 1001, gid: 1002, home: '/home/ann' })
  assert.deepEqual(
    [ownerIn(passwd, 'an'), ownerIn(passwd, 'bad'), ownerIn('', 'ann')],
    [undefined, undefined, undefined],
  )

  // Only root can give files away; anybody else gives them to itself.
  const [me = 0, group = 0] = [process.getuid?.(), process.getgid?.()]
  const owner =
    me === 0
      ? { user: 'x', uid: 65_534, gid: 65_533, home: '/' }
      : { user: 'x', uid: me, gid: group, home: '/' }
  const top = await temporaryDirectory(t)
  const files = [
    { what: 'settings' as const, path: join(top, 'a/b/config.yaml'), mode: 0o600, text: 'x' },
    { what: 'systemd unit' as const, path: join(top, 'units/mao.service'), mode: 0o644, text: 'x' },
  ]
  await writeFiles(files, () => undefined, owner)
  const whose = async (path: string) => {
    const { uid, gid } = await stat(join(top, path))
    return { uid, gid }
  }
  const { uid, gid } = owner
  for (const path of ['a', 'a/b', 'a/b/config.yaml']) assert.deepEqual(await whose(path), { uid, gid }, path)
  for (const path of ['.', 'units', 'units/mao.service']) assert.equal((await whose(path)).uid, me, path)
  await writeFile(join(top, 'units/key'), '')
  await giveTo(owner, join(top, 'units'))
  assert.deepEqual(await whose('units/key'), { uid, gid })
})
