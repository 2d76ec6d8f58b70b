/**
 * The text that each event of a stream adds. Servers that ignore `incremental_output` repeat the whole text so far in every
 * event. No field distinguishes the two modes: in the cumulative one each text begins with the text before it.
 */
import type { WireEvent } from "../Wire.js"

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
  /** Of the latest event. */
  emit: ChannelText["emit"]
}

/** The text that an event has for a channel; empty when it has none. */
export interface ChannelText {
  readonly channel: string
  readonly text: string
  /** Emits what the text adds, which can be empty. */
  readonly emit: (added: string, out: Array<WireEvent>) => void
}

/** A text that begins with this many emitted characters repeats them; a coincidence is unlikely. */
const certainLength = 8

const none: ReadonlySet<ChannelText> = new Set()

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

  const channelOf = ({ channel: name, emit }: ChannelText): Channel => {
    const channel = channels.get(name) ?? { emitted: "", pending: undefined, emit }
    channels.set(name, channel)
    return channel
  }

  const emitPending = (channel: Channel, out: Array<WireEvent>): void => {
    const text = release(channel)
    if (text !== "") channel.emit(text, out)
  }

  /** Looks for the mode in an event. Returns the texts that are pending or add nothing because it stays unknown. */
  const decideMode = (texts: ReadonlyArray<ChannelText>, evidence: Evidence): ReadonlySet<ChannelText> => {
    const undecided = new Set<ChannelText>()
    for (const each of texts) {
      const channel = channelOf(each)
      if (mode === "unknown" && channel.emitted !== "" && !detectMode(channel, each.text, evidence)) undecided.add(each)
    }
    return undecided
  }

  return {
    /** Emits what an event adds to its channels: the texts that were pending, then its own. */
    read: (texts: ReadonlyArray<ChannelText>, evidence: Evidence, out: Array<WireEvent>): void => {
      let undecided = none
      if (mode === "unknown") {
        undecided = decideMode(texts, evidence)
        if (mode !== "unknown") for (const each of texts) emitPending(channelOf(each), out)
      }
      for (const each of texts) {
        const { emit, text } = each
        const channel = channelOf(each)
        const own = mode === "cumulative" ? remainder(text, channel.emitted) : text
        const added = undecided.has(each) ? "" : own
        channel.emitted += added
        channel.emit = emit
        emit(added, out)
      }
    },
    /** Emits the texts that are still pending at the end. */
    flush: (out: Array<WireEvent>): void => {
      for (const channel of channels.values()) emitPending(channel, out)
    }
  }
}
