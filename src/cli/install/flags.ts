/** What the flags say; see install.ts. */
export interface InstallFlags {
  alone?: boolean
  create?: string
  description?: string
  join?: string
  request?: string | boolean
  later?: boolean
  private?: boolean
  address?: string[]
  message?: string
  contact?: string
  name?: string
  listenPort?: number
  reachable?: string
  bootstrap?: string[]
  apiPort?: number
  etcdPort?: number
  gitName?: string
  gitEmail?: string
  sshKey?: boolean
  system?: boolean
  runWith?: 'systemd' | 'compose' | 'hand'
  start?: boolean
  dryRun?: boolean
  wait?: number
}
