package bpe

import (
	"container/heap"
	"math"
)

// noMerge is above every id.
const noMerge = math.MaxInt32

// longestShort is the length in bytes up to which mergeShort takes less time than mergeLong.
const longestShort = 64

// word encodes one word, which is not empty.
func (e *encoder) word(w string) {
	if id, ok := e.vocabulary.word(w); ok {
		e.put(id)
		return
	}
	if len(w) > longestShort {
		e.putAll(e.mergeLong(w))
		return
	}
	var buf [longestShort]int32
	e.putAll(e.mergeShort(buf[:0], w))
}

// symbols appends the ids of w's bytes.
func (v *vocabulary) symbols(dst []int32, w string) []int32 {
	for i := 0; i < len(w); i++ {
		dst = append(dst, v.byteID[w[i]])
	}
	dst[len(dst)-1] += 256
	return dst
}

// mergeShort merges the pair of neighbours of least rank, the leftmost of several, until no pair has a
// merge. (The original merges all pairs of that rank at once. It is the same: a merge's rank is above those
// of the merges that made its parts, so nothing that comes up meanwhile would have had to go first.) Its time
// is quadratic in the word's length, which is at most longestShort.
func (v *vocabulary) mergeShort(dst []int32, w string) []int32 {
	s := v.symbols(dst, w)
	var buf [longestShort]int32
	next := buf[:len(s)] // next[i] is what s[i] and s[i+1] merge to
	for i := range len(s) - 1 {
		next[i] = v.pairs.merge(s[i], s[i+1])
	}
	next[len(s)-1] = noMerge
	for {
		best, at := int32(noMerge), 0
		for i, id := range next {
			if id < best {
				best, at = id, i
			}
		}
		if best == noMerge {
			return s
		}
		s[at] = best
		copy(s[at+1:], s[at+2:])
		copy(next[at+1:], next[at+2:])
		s, next = s[:len(s)-1], next[:len(next)-1]
		if at > 0 {
			next[at-1] = v.pairs.merge(s[at-1], best)
		}
		next[at] = noMerge
		if at+1 < len(s) {
			next[at] = v.pairs.merge(best, s[at+1])
		}
	}
}

// mergeLong gives what mergeShort gives in n log n steps, for words that no language has but a broken or
// hostile caption may.
func (v *vocabulary) mergeLong(w string) []int32 {
	s := v.symbols(make([]int32, 0, len(w)), w)
	next, prev := make([]int, len(s)), make([]int, len(s))
	for i := range s {
		next[i], prev[i] = i+1, i-1
	}
	var queue pairQueue
	offer := func(i int) {
		if i >= 0 && next[i] < len(s) {
			if id := v.pairs.merge(s[i], s[next[i]]); id != noMerge {
				heap.Push(&queue, queuedPair{id, i, s[i], s[next[i]]})
			}
		}
	}
	for i := range s {
		offer(i)
	}
	const gone = -1
	for len(queue) > 0 {
		p := heap.Pop(&queue).(queuedPair)
		j := len(s)
		if s[p.at] == p.first {
			j = next[p.at]
		}
		if j >= len(s) || s[j] != p.second {
			continue // one of the two has merged otherwise meanwhile
		}
		s[p.at], s[j] = p.id, gone
		next[p.at] = next[j]
		if next[j] < len(s) {
			prev[next[j]] = p.at
		}
		offer(prev[p.at])
		offer(p.at)
	}
	out := s[:0]
	for _, id := range s {
		if id != gone {
			out = append(out, id)
		}
	}
	return out
}

type queuedPair struct {
	id            int32 // that the pair merges to
	at            int   // where its first symbol stands
	first, second int32
}

type pairQueue []queuedPair

func (q pairQueue) Len() int { return len(q) }
func (q pairQueue) Less(i, j int) bool {
	return q[i].id < q[j].id || q[i].id == q[j].id && q[i].at < q[j].at
}
func (q pairQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *pairQueue) Push(x any)   { *q = append(*q, x.(queuedPair)) }
func (q *pairQueue) Pop() any {
	last := len(*q) - 1
	p := (*q)[last]
	*q = (*q)[:last]
	return p
}
