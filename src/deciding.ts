/** What the members of a federation decide together: rounds and their truths, and what people ask about them. */
import type { Clock } from './base/clock.ts'
import type { Database } from './base/database.ts'
import type { StopStack } from './base/lifecycle.ts'
import type { Logger } from './base/logger.ts'
import { type ProvenWork, scheduledRuns } from './bridges.ts'
import type { AuditEvent } from './consensus/audit/audit-views.ts'
import { Audits } from './consensus/audit/audits.ts'
import { Consensus } from './consensus/consensus.ts'
import { Counting } from './consensus/counting.ts'
import { HandBallots } from './consensus/hand/hand-ballots.ts'
import { Proofs } from './consensus/proofs/proofs.ts'
import { Refusals } from './consensus/refusals.ts'
import { Reliabilities } from './consensus/reliability/reliabilities.ts'
import type { ConsensusEvent } from './consensus/views.ts'
import type { DatasetAccess } from './datasets/dataset-access.ts'
import type { Datasets } from './datasets/datasets.ts'
import type { Execution } from './execution/execution.ts'
import type { Admission } from './federation/admission.ts'
import type { Genesis } from './federation/genesis.ts'
import type { Registry } from './registry/registry.ts'

export interface DecidingParts {
  /** This node's peer id. */
  readonly self: string
  readonly genesis: Genesis
  readonly registry: Registry
  readonly database: Database
  readonly admission: Admission
  readonly access: DatasetAccess
  readonly datasets: Datasets
  readonly execution: Execution
  /** Hears from here whose results are enough. */
  readonly work: ProvenWork
  readonly clock: Clock
  readonly log: Logger
  /** What is started here is stopped with it. */
  readonly running: StopStack
  readonly onRound: (event: ConsensusEvent) => void
  readonly onAudit: (event: AuditEvent) => void
}

export interface Deciding {
  readonly consensus: Consensus
  readonly audits: Audits
  /** The certificates that each dataset carries along. */
  readonly proofs: Proofs
  /** Ballots that people cast. */
  readonly handBallots: HandBallots
  /** What this node does not sign in rounds, and why. */
  readonly refusals: Refusals
  /** What past results say of members. */
  readonly reliabilities: Reliabilities
}

export async function startDeciding(parts: DecidingParts): Promise<Deciding> {
  const { self, registry, database, admission, access, datasets, execution, clock, log, running } = parts
  const { members, past } = admission
  const consensus = new Consensus({
    ...{ self, registry, members, past, datasets, database, clock, log },
    voters: (name) => access.voters(name),
    runs: scheduledRuns(execution),
  })
  const refusals = new Refusals()
  running.push(
    'refusals',
    consensus.onEvent((event) => refusals.hear(event)),
  )
  running.push('round events', consensus.onEvent(parts.onRound))
  await running.start('consensus', consensus)
  const { terms } = consensus
  const voters = (name: string) => access.voters(name)
  parts.work.connect({ registry, datasets, terms, voters, now: () => clock.now() })
  const nameOf = (peer: string) =>
    members.get(members.presentOf(peer))?.name ?? members.former(peer)?.name ?? peer
  const reliabilities = new Reliabilities({ datasets, members, nameOf, voters, terms })
  const audits = new Audits({ self, registry, members, datasets, clock, log })
  running.push('audit events', audits.onEvent(parts.onAudit))
  await running.start('audits', audits)
  const proofs = new Proofs({
    ...{ genesis: parts.genesis, registry, datasets, clock, log },
    onEvent: (heard) => consensus.onEvent(heard),
    verify: (name) => consensus.verify(name),
    counting: new Counting({ datasets }),
    nameOf,
  })
  await running.start('certificates', proofs)
  const handBallots = new HandBallots({ self, consensus, registry, members, datasets, clock })
  return { consensus, audits, proofs, handBallots, refusals, reliabilities }
}
