import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type Offer, offerOf } from '../../../../src/execution/remote/offer.ts'
import {
  type Candidate,
  inOrderOfAnswers,
  nobodyText,
  placementOf,
} from '../../../../src/execution/remote/placement.ts'
import { parseWhere } from '../../../../src/execution/remote/where.ts'
import { executionSettingsSchema } from '../../../../src/execution/settings.ts'

const GIB = 1024 ** 3

function offer(cpus: number, more: Partial<Offer> = {}): Offer {
  const environment = {
    ...{ name: 'default', engine: 'local', cpus, memoryBytes: cpus * GIB, diskBytes: GIB, gpus: 0 },
    ...{ architecture: 'amd64', priceText: '', runsMax: 1, stepTimeoutMsMax: 1_000, labels: {} },
  }
  return { environments: [environment], accepts: 'members', timeMs: 1, ...more }
}

function member(name: string, more: Partial<Candidate> = {}): Candidate {
  return { peer: `peer-of-${name}`, name, online: true, offer: offer(1), holds: () => false, ...more }
}

function place(
  candidates: Candidate[],
  asked: Parameters<typeof placementOf>[0]['asked'] = {},
  request = 'r-1',
) {
  const { places, refusals } = placementOf({ request, asked, candidates, reads: ['x'], isOperator: false })
  const reasons = Object.fromEntries(refusals.map(({ name, reason }) => [name, reason]))
  return { order: places.map(({ name }) => name), reasons }
}

suite('where a run is placed', () => {
  test('where its data live comes before what is larger', () => {
    const small = member('small', { holds: (dataset) => dataset === 'x' })
    const large = member('large', { offer: offer(8) })
    assert.deepEqual(place([large, member('other'), small]).order.slice(0, 2), ['small', 'large'])
  })

  test('equals take turns, and every node finds the same order', () => {
    const equal = ['a', 'b', 'c', 'd'].map((name) => member(name))
    const first = new Set<string | undefined>()
    for (let i = 0; i < 50; i += 1) {
      const { order } = place(equal, {}, `r-${i}`)
      assert.deepEqual(place(equal.toReversed(), {}, `r-${i}`).order, order)
      first.add(order[0])
    }
    assert.equal(first.size, 4)
  })

  test('each member that is not asked has its reason', () => {
    const { order, reasons } = place(
      [
        member('away', { online: false }),
        member('silent', { offer: undefined }),
        member('closed', { offer: offer(1, { accepts: 'none' }) }),
        member('strict', { offer: offer(1, { accepts: 'operators' }) }),
        member('weak'),
        member('down', { offer: offer(1, { environments: [] }) }),
        member('fits', { offer: offer(4) }),
      ],
      { where: parseWhere('cpus>=2 && memory>=2') },
    )
    assert.deepEqual(order, ['fits'])
    assert.deepEqual(reasons, {
      away: 'it is not there now',
      silent: 'it offers nothing',
      closed: 'it takes no runs of others',
      strict: 'it takes the runs of operators only',
      weak: 'its offer does not satisfy cpus>=2',
      down: 'none of its engines is up',
    })
  })

  test('named members alone are asked, whatever they offer; at-data wants all of the data', () => {
    const bob = member('bob', { offer: undefined })
    assert.deepEqual(place([member('alice'), bob], { on: ['bob'] }), { order: ['bob'], reasons: {} })
    assert.deepEqual(place([bob], { on: ['peer-of-bob'] }).order, ['bob'])
    assert.deepEqual(place([member('alice')], { atData: true }).reasons, { alice: 'it does not hold x' })
  })

  test('of those that would take it, the one with room is first, unless the data are elsewhere', () => {
    const answer = (name: string, held: number, free: number) => ({ peer: name, name, held, free })
    const ordered = inOrderOfAnswers(
      [answer('full', 0, -2), answer('free', 0, 1), answer('data', 1, -5)],
      'r',
    )
    assert.deepEqual(
      ordered.map(({ name }) => name),
      ['data', 'free', 'full'],
    )
  })

  test('that nobody takes it is told with every reason', () => {
    const refusals = [{ peer: 'p', name: 'bob', code: 'FORBIDDEN', reason: 'not today' }]
    assert.equal(nobodyText(refusals, {}), 'No member takes the run: bob: not today')
    assert.match(nobodyText([], { on: ['carol', 'dave'] }), /none is named carol or dave/)
  })
})

test('an offer says no more of a disk than a step of a member gets', () => {
  const { remote, offer: words } = executionSettingsSchema.parse({ remote: { accept: 'members' } })
  const step = { cpus: 1, memoryBytes: GIB, outputBytes: 10 * GIB, stepTimeoutMs: 60_000 }
  const diskOf = (diskBytes: number) => {
    const engine = { id: 'local', up: true, cpus: 4, memoryBytes: 8 * GIB, diskBytes, gpus: [] }
    const terms = { engines: [engine], remote, offer: words, step, architecture: 'x64', timeMs: 1 }
    return offerOf(terms)?.environments[0]?.diskBytes
  }
  assert.equal(diskOf(79 * GIB), GIB)
  assert.equal(diskOf(GIB / 2), 0)
})
