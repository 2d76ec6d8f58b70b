/**
 * The text that each event of a stream adds. Servers that ignore `incremental_output` repeat the whole text so far in every
 * event. No field distinguishes the two modes: in the cumulative one each text begins with the text before it.
 */

/** Fields of an event that help to detect the mode. */
export interface Evidence {
  /** Whether the output tokens advanced since the event before; undefined without counts. */
  readonly advanced: boolean | undefined
  /** Whether the model has stopped. */
  readonly last: boolean
  /** Whether no other channel has text in the same event: incremental servers send one channel at a time. */
  readonly alone: boolean
}

interface Channel {
  /** The text emitted so far. */
  emitted: string
  /** A text that either continues or repeats the emitted one; the next event decides. */
  pending: string | undefined
}

/** A text that begins with this many emitted characters repeats them; a coincidence is unlikely. */
const certainLength = 8

export const deltaReader = () => {
  let mode: "unknown" | "incremental" | "cumulative" = "unknown"
  const channels = new Map<string, Channel>()

  const remainder = (text: string, emitted: string): string =>
    text.startsWith(emitted) ? text.slice(emitted.length) : emitted.startsWith(text) ? "" : text

  /** The added text of the pending one. An unknown mode counts as cumulative. */
  const release = (channel: Channel): string => {
    const pending = channel.pending ?? ""
    channel.pending = undefined
    if (pending === "") return ""
    const added = mode === "incremental" ? pending : remainder(pending, channel.emitted)
    channel.emitted += added
    return added
  }

  /**
   * Sets the mode, and returns false when it stays unknown: then the text is pending or adds nothing. A cumulative server sends
   * no empty text after a text, and counts no more tokens when it adds none.
   */
  const detectMode = (channel: Channel, text: string, { advanced, alone, last }: Evidence): boolean => {
    const { emitted, pending } = channel
    const continues = advanced ?? !last
    if (pending !== undefined) {
      const repeats = text !== "" && text.startsWith(pending) && !(text === emitted && continues)
      mode = repeats ? "cumulative" : "incremental"
    } else if (text === "" || (text === emitted && alone && (last || !continues))) {
      return false
    } else if (!text.startsWith(emitted)) {
      mode = "incremental"
    } else if (!alone || (emitted.length >= certainLength && text !== emitted)) {
      mode = "cumulative"
    } else {
      channel.pending = text
      return false
    }
    return true
  }

  return {
    /** The text that an event adds to a channel. */
    read: (name: string, text: string, evidence: Evidence): string => {
      const channel = channels.get(name) ?? { emitted: "", pending: undefined }
      channels.set(name, channel)
      if (mode === "unknown" && channel.emitted !== "" && !detectMode(channel, text, evidence)) return ""
      const before = mode === "unknown" ? "" : release(channel)
      const added = mode === "cumulative" ? remainder(text, channel.emitted) : text
      channel.emitted += added
      return before + added
    },
    /** The text still pending at the end, by channel. */
    flush: (): ReadonlyArray<readonly [name: string, text: string]> =>
      [...channels].flatMap(([name, channel]) => {
        const text = release(channel)
        return text === "" ? [] : [[name, text] as const]
      })
  }
}
