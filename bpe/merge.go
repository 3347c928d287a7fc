package bpe

import (
	"container/heap"
	"hash/maphash"
	"math"
	"strings"
	"sync/atomic"
)

// wordIDs returns the ids of one word, which is not empty. The slice is shared: it must not be changed.
func (v *vocabulary) wordIDs(w string) []int32 {
	if len(w) > longestCached {
		return v.mergeLong(w)
	}
	slot := &v.cache[maphash.String(cacheSeed, w)%cacheSlots]
	if e := slot.Load(); e != nil && e.word == w {
		return e.ids
	}
	var buf [longestCached]int32
	ids := v.mergeShort(buf[:0], w)
	e := &cachedWord{word: strings.Clone(w), ids: append(make([]int32, 0, len(ids)), ids...)}
	slot.Store(e)
	return e.ids
}

// The cache of merged words is a table without chains: a word has one place, where it puts out what was
// there. That bounds it (some 5 MB when full), and readers and writers need no lock. What is in it
// never changes a result.
const (
	cacheSlots    = 1 << 15
	longestCached = 48 // bytes
)

type wordCache [cacheSlots]atomic.Pointer[cachedWord]

type cachedWord struct {
	word string
	ids  []int32
}

var cacheSeed = maphash.MakeSeed()

// symbols appends the ids of w's bytes.
func (v *vocabulary) symbols(dst []int32, w string) []int32 {
	for i := 0; i < len(w); i++ {
		dst = append(dst, v.byteID[w[i]])
	}
	dst[len(dst)-1] += 256
	return dst
}

// mergeShort merges the pair of least rank, everywhere in the word from left to right, until no pair of
// neighbours has a merge. Its time is quadratic in the word's length.
func (v *vocabulary) mergeShort(dst []int32, w string) []int32 {
	s := v.symbols(dst, w)
	for len(s) > 1 {
		best := int32(math.MaxInt32)
		var first, second int32
		for i := 0; i+1 < len(s); i++ {
			if id, ok := v.merged[pairOf(s[i], s[i+1])]; ok && id < best {
				best, first, second = id, s[i], s[i+1]
			}
		}
		if best == math.MaxInt32 {
			break
		}
		n := 0
		for i := 0; i < len(s); i++ {
			if s[i] == first && i+1 < len(s) && s[i+1] == second {
				s[n] = best
				i++
			} else {
				s[n] = s[i]
			}
			n++
		}
		s = s[:n]
	}
	return s
}

// mergeLong gives what mergeShort gives in n log n steps, for words that no language has but a broken or
// hostile caption may. It merges one pair at a time, by rank and then from the left; a merge's rank is
// always above those of the merges that made its parts, so nothing that comes up later would have had
// to go first.
func (v *vocabulary) mergeLong(w string) []int32 {
	s := v.symbols(make([]int32, 0, len(w)), w)
	next, prev := make([]int, len(s)), make([]int, len(s))
	for i := range s {
		next[i], prev[i] = i+1, i-1
	}
	var queue pairQueue
	offer := func(i int) {
		if i >= 0 && next[i] < len(s) {
			if id, ok := v.merged[pairOf(s[i], s[next[i]])]; ok {
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
