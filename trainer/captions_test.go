package trainer

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"prep/internal/sample"
)

// captioned is samples of which some have several captions.
type captioned struct{ memory }

func (c captioned) Has(i int, column string) bool {
	t, err := c.Tensor(i, column)
	return err == nil && !t.Absent()
}

func (c captioned) Tensor(i int, column string) (sample.Tensor, error) {
	if column == sample.ColumnTexts {
		return c.memory[i].Texts, nil
	}
	return c.memory.Tensor(i, column)
}

// tokensOf is captions of n rows, the first used of them being "start, 100 + row, end".
func tokensOf(n, used int) []byte {
	b := make([]byte, 4*n*contextLength)
	for i := range used {
		for j, id := range []uint32{49406, uint32(100 + i), 49407} {
			binary.LittleEndian.PutUint32(b[4*(i*contextLength+j):], id)
		}
	}
	return b
}

func TestOneCaptionIsDrawnEachEpoch(t *testing.T) {
	rows := captioned{bare(12, sample.Image)}
	for i, s := range rows.memory {
		s.Tensors[sample.Text] = sample.Tensor{DType: sample.Int32, Shape: []int{contextLength}, Data: tokensOf(1, 1)}
		if i > 0 {
			s.Texts = sample.Tensor{DType: sample.Int32, Shape: []int{5, contextLength}, Data: tokensOf(5, 1+i%5)}
		}
	}
	p := pairingOf(t, rows, 4)
	order := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	read := func(order []int, epoch int) []int32 {
		x, err := p.tensor(sample.Text, order, p.keys(order), epoch)
		if err != nil {
			t.Fatal(err)
		}
		var ids []int32
		for i := range order {
			tensors.MustConstFlatData(x, func(all []int32) { ids = append(ids, all[i*contextLength+1]-100) })
		}
		return ids
	}
	const epochs = 400
	count := make([][5]int, len(order))
	for epoch := range epochs {
		got := read(order, epoch)
		for i, k := range got {
			if k < 0 || k > 0 && int(k) > i%5 {
				t.Fatalf("row %d has %d captions, and number %d was drawn", i, 1+i%5, k)
			}
			count[i][k]++
		}
		// By itself or among others, a row's draw is the same.
		if alone := read([]int{8}, epoch); alone[0] != got[8] {
			t.Fatalf("epoch %d: caption %d in a batch, %d alone", epoch, got[8], alone[0])
		}
	}
	for i := 1; i < len(order); i++ {
		for k := range 1 + i%5 {
			want := epochs / float64(1+i%5)
			if n := float64(count[i][k]); n < 0.6*want || n > 1.4*want {
				t.Errorf("row %d: caption %d was drawn %g times of %d, about %g expected", i, k, n, epochs, want)
			}
		}
	}
	if count[4] == count[9] {
		t.Error("rows of as many captions draw alike")
	}
	for i, k := range read(order, evaluation) {
		if k != 0 {
			t.Errorf("row %d is measured with caption %d, not with its first", i, k)
		}
	}
	for what, broken := range map[string]sample.Tensor{
		"no caption": {DType: sample.Int32, Shape: []int{5, contextLength}, Data: tokensOf(5, 0)},
		"reads":      {DType: sample.Int32, Shape: []int{5, 7}, Data: tokensOf(5, 1)},
	} {
		rows.memory[3].Texts = broken
		if _, err := p.tensor(sample.Text, []int{3}, p.keys([]int{3}), 0); err == nil || !strings.Contains(err.Error(), "item-003") || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
