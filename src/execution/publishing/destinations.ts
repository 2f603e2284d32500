import type { Destination } from './destination.ts'
import { FolderDestination } from './folder-destination.ts'
import { IpfsDestination } from './ipfs-destination.ts'
import { RenkuDestination, type RenkuParts } from './renku/renku-destination.ts'
import { type Credential, S3Destination } from './s3-destination.ts'
import type { PublisherSettings } from './settings.ts'

export interface DestinationParts extends Omit<RenkuParts, 'settings'> {
  readonly credential: Credential
}

/** Where a publisher of the settings leads. */
export function destinationOf(settings: PublisherSettings, parts: DestinationParts): Destination {
  switch (settings.kind) {
    case 'folder':
      return new FolderDestination(settings)
    case 's3':
      return new S3Destination(settings, parts.credential)
    case 'ipfs':
      return new IpfsDestination(settings, parts.credential)
    case 'renku':
      return new RenkuDestination({ ...parts, settings })
  }
}
