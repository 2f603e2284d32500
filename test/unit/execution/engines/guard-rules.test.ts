import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  BARRED_RANGES,
  canonicalRange,
  type Guard,
  guardCommands,
  isGuarded,
  nameserversIn,
  removalText,
  restoreText,
} from '../../../../src/execution/engines/guard-rules.ts'

const guard: Guard = {
  id: 'abcd1234',
  bridge: 'maoabcd1234',
  barredRanges: ['130.92.7.9/16'],
  nameservers: ['10.0.0.53'],
}
const DOCKER = ['-P FORWARD DROP', '-N DOCKER-USER', '-A FORWARD -j DOCKER-USER', '-A DOCKER-USER -j RETURN']

/** What a packet filter that was given these lines lists afterwards: as much of its grammar as is used here. */
function applied(listing: readonly string[], text: string): string[] {
  let lines = [...listing]
  for (const line of text.trim().split('\n')) {
    const [, chain = ''] = /^:(\S+)/.exec(line) ?? []
    const [, to = '', rule = ''] = /^-I (\S+) 1 (.*)$/.exec(line) ?? []
    if (chain !== '') lines = [...lines.filter((other) => !other.startsWith(`-A ${chain} `)), `-N ${chain}`]
    else if (line.startsWith('-A ')) lines.push(line)
    else if (line.startsWith('-D ')) lines.splice(lines.indexOf(line.replace('-D', '-A')), 1)
    else if (line.startsWith('-F '))
      lines = lines.filter((other) => !other.startsWith(line.replace('-F', '-A')))
    else if (line.startsWith('-X ')) lines = lines.filter((other) => other !== line.replace('-X', '-N'))
    else if (to !== '') {
      const first = lines.findIndex((other) => other.startsWith(`-A ${to} `))
      lines.splice(first < 0 ? lines.length : first, 0, `-A ${to} ${rule}`)
    }
  }
  return [...new Set(lines)]
}

test('rules that were set stand, set twice they stand once, and they go without a trace', () => {
  assert.equal(isGuarded(DOCKER, guard), false)
  const set = applied(DOCKER, restoreText(DOCKER, guard))
  assert.ok(isGuarded(set, guard), set.join('\n'))
  assert.deepEqual(applied(set, restoreText(set, guard)).sort(), set.sort())
  const removal = removalText(set, guard)
  assert.deepEqual(applied(set, removal ?? '').sort(), [...DOCKER].sort())
  assert.equal(removalText(DOCKER, guard), undefined)
})

test('a rule that is missing, changed or comes too late is noticed', () => {
  const set = applied(DOCKER, restoreText(DOCKER, guard))
  for (const line of set.filter((other) => other.startsWith('-A MAO-') || other.includes('-j MAO-'))) {
    assert.equal(
      isGuarded(
        set.filter((other) => other !== line),
        guard,
      ),
      false,
      line,
    )
  }
  const opened = set.map((line) => (line.includes('10.0.0.0/8') ? line.replace('REJECT', 'ACCEPT') : line))
  assert.equal(isGuarded(opened, guard), false)
  for (const chain of ['INPUT', 'DOCKER-USER', 'FORWARD']) {
    const before = [`-A ${chain} -s 10.0.0.0/8 -j ACCEPT`, ...set]
    assert.equal(isGuarded(before, guard), false, `${chain} lets pass before we are asked`)
    const mended = applied(before, restoreText(before, guard))
    assert.ok(isGuarded(mended, guard), mended.join('\n'))
  }
})

test("another node's guard may come first", () => {
  const set = applied(DOCKER, restoreText(DOCKER, guard))
  const other = { ...guard, id: '99999999', bridge: 'mao99999999' }
  const both = applied(set, restoreText(set, other))
  assert.ok(isGuarded(both, guard) && isGuarded(both, other))
  assert.ok(isGuarded(applied(both, removalText(both, guard) ?? ''), other))
})

test('all that is not the public internet is barred, the operator’s own ranges too, and name servers answer on one port', () => {
  const commands = guardCommands(guard).join('\n')
  // Azure's host answers at a public address.
  for (const range of [...BARRED_RANGES, '130.92.0.0/16', '168.63.129.16/32'])
    assert.ok(commands.includes(`-d ${range} -j REJECT`), range)
  const answers = commands.split('\n').filter((line) => line.includes('-j RETURN'))
  assert.equal(answers.length, 4)
  for (const line of answers)
    assert.match(line, /-d 10\.0\.0\.53\/32 -p (udp|tcp) -m (udp|tcp) --dport 53 -j RETURN$/)
})

test('ranges are written as the packet filter writes them', () => {
  const table = [
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['192.168.1.77', '192.168.1.77/32'],
    ['130.92.129.1/17', '130.92.128.0/17'],
    ['255.255.255.255/32', '255.255.255.255/32'],
    ['1.2.3.4/0', '0.0.0.0/0'],
  ] as const
  for (const [range, canonical] of table) assert.equal(canonicalRange(range), canonical)
})

test('name servers on loopback are none of a container’s', () => {
  const text =
    '# x\nnameserver 127.0.0.53\nnameserver 10.0.0.2\n nameserver 9.9.9.9 # quad\nnameserver ::1\nnameserver 10.0.0.2\nsearch a'
  assert.deepEqual(nameserversIn(text), ['10.0.0.2', '9.9.9.9'])
})
