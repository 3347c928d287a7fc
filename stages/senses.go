package stages

import (
	"context"

	"prep/bpe"
	"prep/configs"
	"prep/filters"
	"prep/internal/inertial"
	"prep/internal/sample"
	"prep/mel"
)

// pictureSize is the side of every stored picture, in pixels: what ImageBind's towers take.
const pictureSize = 224

// A medium is one part of a sample after decoding.
type medium interface {
	// measure stores what can be known of the medium by itself.
	measure(p *Processor, s *sample.Sample)
	// tensor makes what is stored. It comes last, and may use the medium up.
	tensor(p *Processor) (sample.Tensor, error)
}

// A sense knows how one modality is read.
type sense struct {
	modality sample.Modality
	read     func(ctx context.Context, p *Processor, s *sample.Sample, part *sample.Part) (medium, error)
}

// senses is the registry: a modality that can be ingested is one file with its read function and one
// line here.
var senses = []sense{
	{sample.Image, readPicture},
	{sample.Video, readVideo},
	{sample.Audio, readSound},
	{sample.Text, readCaption},
	{sample.Depth, readDepth},
	{sample.Thermal, readThermal},
	{sample.IMU, readMotion},
}

func senseOf(m sample.Modality) *sense {
	for i := range senses {
		if senses[i].modality == m {
			return &senses[i]
		}
	}
	return nil
}

// columnOf gives the stored type and shape of a modality.
func columnOf(m sample.Modality, cfg configs.Config) sample.TensorField {
	f := sample.TensorField{Name: m.String()}
	switch m {
	case sample.Image:
		f.DType, f.Shape = sample.Uint8, []int{3, pictureSize, pictureSize}
	case sample.Video:
		f.DType, f.Shape = sample.Uint8, []int{3, videoFrames, pictureSize, pictureSize}
		if views := cfg.Video.Clips * cfg.Video.Crops; views > 1 {
			f.Shape = append([]int{views}, f.Shape...)
		}
	case sample.Audio:
		f.DType, f.Shape = sample.DType(cfg.Audio.DType), []int{cfg.Audio.Clips, 1, mel.Bins, mel.Frames}
	case sample.Text:
		f.DType, f.Shape = sample.Int32, []int{bpe.ContextLength}
	case sample.Depth:
		f.DType, f.Shape = sample.Float16, []int{1, pictureSize, pictureSize}
	case sample.Thermal:
		f.DType, f.Shape = sample.Uint8, []int{1, pictureSize, pictureSize}
	case sample.IMU:
		f.DType, f.Shape = sample.Float32, []int{inertial.Channels, inertial.Samples}
	}
	return f
}

// metricFields lists every metric column: the filters' and what reading itself finds out.
func metricFields() []sample.MetricField {
	return append(filters.Fields(),
		sample.MetricField{Name: "text_encoding", Kind: sample.Word, Doc: "encoding the caption's file was found in"},
		sample.MetricField{Name: "text_tokens", Kind: sample.Count, Doc: "byte-pair tokens of the caption with both markers, before cutting to 77"},
		sample.MetricField{Name: "flipped", Kind: sample.Count, Doc: "1: the sample's pictures were mirrored at ingest (flip.when), 0: they were not"},
		sample.MetricField{Name: "video_width", Kind: sample.Count, Unit: "px", Doc: "width of the video's frames, turned as the container says"},
		sample.MetricField{Name: "video_height", Kind: sample.Count, Unit: "px", Doc: "height of the video's frames, turned as the container says"},
		sample.MetricField{Name: "video_fps", Kind: sample.Number, Unit: "Hz", Doc: "average frames a second, as the container says"},
		sample.MetricField{Name: "video_duration_s", Kind: sample.Number, Unit: "s", Doc: "length of the video track"},
		sample.MetricField{Name: "video_tracks", Kind: sample.Word, Doc: "what is used of the video file: audio+video, video or audio"},
		sample.MetricField{Name: "audio_lost", Kind: sample.Word, Doc: "reason for which the sound of a video was left out and the pictures kept"},
		sample.MetricField{Name: "video_lost", Kind: sample.Word, Doc: "reason for which the pictures of a video were left out and the sound kept"},
		sample.MetricField{Name: "video_note", Kind: sample.Word, Doc: "first complaint of the decoder about a video file that could be decoded"},
		sample.MetricField{Name: "audio_rate_hz", Kind: sample.Count, Unit: "Hz", Doc: "sample rate of the sound file"},
		sample.MetricField{Name: "audio_channels", Kind: sample.Count, Doc: "channels of the sound file"},
		sample.MetricField{Name: "audio_declared_s", Kind: sample.Number, Unit: "s", Doc: "length of the whole sound as its file's header states it; null where it does not"},
		sample.MetricField{Name: "audio_missing_s", Kind: sample.Number, Unit: "s", Doc: "what the header promises of the decoded stretch and the file does not hold"},
	)
}

// newTensor describes data as column m of the processor's schema.
func (p *Processor) newTensor(m sample.Modality, data []byte) sample.Tensor {
	f := columnOf(m, p.Config)
	return sample.Tensor{DType: f.DType, Shape: f.Shape, Data: data}
}
