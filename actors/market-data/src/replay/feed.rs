//! The feed over all recordings.

use super::deliver::{Shift, Target};
use super::merge::merged;
use super::recording::Recording;
use super::state::{Counts, InstrumentState};
use super::track::{self, Track};
use super::{BAD_FRAMES_KEPT, BadFrame, CLONES_MAX, Frame, ReplayError, ReplayOptions};
use apex_domain::bar::BarBuilder;
use apex_domain::book::L2Book;
use apex_domain::market::{FeedStatus, MarketEvent};
use apex_domain::time::{NANOS_PER_MILLI, NANOS_PER_SECOND};
use apex_domain::{Instrument, InstrumentId, UnixNanos};
use apex_venues::binance::Codec;
use apex_venues::capture::Step;
use std::collections::BTreeMap;

/// How much later than its original a clone's frames come, times its number, so that the clones do
/// not all act in the same instant.
const CLONE_DELAY_NS: i64 = NANOS_PER_MILLI;

/// Replays recordings. See the module for what it does with them.
#[derive(Debug)]
pub struct ReplayFeed {
    pub(super) recordings: Vec<Recording>,
    options: ReplayOptions,
    tracks: Vec<Track>,
    /// All instruments, clones included, in the order of their tracks.
    pub(super) instruments: Vec<InstrumentState>,
    by_id: BTreeMap<InstrumentId, usize>,
    codec: Codec,
    /// How often it began anew.
    lap: u64,
    lap_ns: i64,
    /// Frames before are only used to build books; `None` once that is done.
    skip_until: Option<UnixNanos>,
    pub(super) frames: u64,
    pub(super) bad_count: u64,
    bad: Vec<BadFrame>,
    skipped: u64,
    unused: u64,
}

impl ReplayFeed {
    /// Makes a feed that stands before the first frame.
    ///
    /// Errors: `NoRecording`, `Clones`, `CloneName`, and `Capture` when a file has gone since it
    /// was looked at.
    pub fn new(
        recordings: Vec<Recording>,
        options: ReplayOptions,
    ) -> Result<ReplayFeed, ReplayError> {
        if recordings.is_empty() {
            return Err(ReplayError::NoRecording);
        }
        if options.clones > CLONES_MAX {
            let wanted = options.clones;
            return Err(ReplayError::Clones { wanted });
        }
        let first = recordings
            .iter()
            .map(|r| r.info().first_ts)
            .min()
            .unwrap_or_default();
        let last = recordings
            .iter()
            .map(|r| r.info().last_ts)
            .max()
            .unwrap_or_default();
        let minute = 60 * NANOS_PER_SECOND;
        let mut feed = ReplayFeed {
            skip_until: options.start_at,
            options,
            tracks: Vec::new(),
            instruments: Vec::new(),
            by_id: BTreeMap::new(),
            codec: Codec::new(),
            lap: 0,
            // Whole minutes, so that bars of a repeat begin where those of the first pass did, and
            // one more, so that no cell is shared.
            lap_ns: (last.since(first) / minute + 2).saturating_mul(minute),
            frames: 0,
            bad_count: 0,
            bad: Vec::new(),
            skipped: 0,
            unused: 0,
            recordings,
        };
        for files in track::group(&feed.recordings) {
            for clone in 0..=feed.options.clones {
                feed.add_track(&files, clone)?;
            }
        }
        feed.rewind()?;
        Ok(feed)
    }

    fn add_track(&mut self, files: &[usize], clone: u32) -> Result<(), ReplayError> {
        let mut symbols: Vec<(String, usize)> = Vec::new();
        for file in files {
            let info = self.recordings[*file].info();
            let rule = info.market.sequence_rule();
            for symbol in &info.symbols {
                if symbols.iter().any(|(known, _)| *known == symbol.symbol) {
                    continue;
                }
                let state = merged(
                    &self.recordings,
                    files,
                    &symbol.symbol,
                    rule,
                    clone,
                    &self.options,
                )?;
                let index = self.instruments.len();
                self.by_id
                    .insert(state.instrument.instrument_id.clone(), index);
                self.instruments.push(state);
                symbols.push((symbol.symbol.clone(), index));
            }
        }
        self.tracks.push(Track::new(files.to_vec(), clone, symbols));
        Ok(())
    }

    fn rewind(&mut self) -> Result<(), ReplayError> {
        for track in &mut self.tracks {
            track.rewind(&self.recordings)?;
        }
        Ok(())
    }

    /// Begins again at the first frame received at or after `ts`. Books are rebuilt from the
    /// frames before; bars and statistics begin there.
    ///
    /// Errors: `Capture`, when a file has gone.
    pub fn seek(&mut self, ts: UnixNanos) -> Result<(), ReplayError> {
        for state in &mut self.instruments {
            state.reset();
        }
        (
            self.lap,
            self.frames,
            self.bad_count,
            self.skipped,
            self.unused,
        ) = (0, 0, 0, 0, 0);
        self.bad.clear();
        self.skip_until = Some(ts);
        self.rewind()
    }

    /// Returns the next frame, or `None` after the last.
    ///
    /// Errors: `Capture`, when a file has gone.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, ReplayError> {
        let mut frame = Frame::default();
        Ok(self.next_into(&mut frame)?.then_some(frame))
    }

    /// As [`ReplayFeed::next_frame`], into a frame whose memory is used again. Returns false after
    /// the last.
    ///
    /// Errors: as there.
    pub fn next_into(&mut self, frame: &mut Frame) -> Result<bool, ReplayError> {
        loop {
            frame.events.clear();
            let Some((index, shift)) = self.next_track() else {
                if !self.options.repeat {
                    return Ok(false);
                }
                self.begin_anew()?;
                continue;
            };
            let skipping = match self.skip_until {
                Some(until)
                    if self.tracks[index]
                        .ts()
                        .is_some_and(|ts| shift.ts(ts) < until) =>
                {
                    true
                }
                Some(_) => {
                    self.stop_skipping(index, shift, &mut frame.events);
                    false
                }
                None => false,
            };
            self.play(index, shift, skipping, frame);
            self.tracks[index].advance(&self.recordings)?;
            if self.tracks[index].ts().is_none() && !self.options.repeat {
                for (_, at) in &self.tracks[index].symbols {
                    self.instruments[*at].set_status(
                        FeedStatus::Closed,
                        frame.ts,
                        &mut frame.events,
                    );
                }
            }
            if !skipping {
                return Ok(true);
            }
        }
    }

    /// Returns the track whose line was received first.
    fn next_track(&self) -> Option<(usize, Shift)> {
        let mut best: Option<(UnixNanos, usize, Shift)> = None;
        for (index, track) in self.tracks.iter().enumerate() {
            let Some(ts) = track.ts() else { continue };
            let shift = self.shift(track);
            let ts = shift.ts(ts);
            if best.is_none_or(|(first, _, _)| ts < first) {
                best = Some((ts, index, shift));
            }
        }
        best.map(|(_, index, shift)| (index, shift))
    }

    fn shift(&self, track: &Track) -> Shift {
        // Saturates after centuries of repeats.
        let laps = self.lap_ns.saturating_mul(self.lap as i64);
        Shift {
            ns: laps.saturating_add(CLONE_DELAY_NS * i64::from(track.clone)),
            lap: self.lap,
            clone: u64::from(track.clone),
        }
    }

    fn begin_anew(&mut self) -> Result<(), ReplayError> {
        self.lap += 1;
        for state in &mut self.instruments {
            state.begin_anew();
        }
        self.rewind()
    }

    fn stop_skipping(&mut self, index: usize, shift: Shift, events: &mut Vec<MarketEvent>) {
        self.skip_until = None;
        let ts = self.tracks[index]
            .ts()
            .map_or(UnixNanos::MIN, |ts| shift.ts(ts));
        for state in &mut self.instruments {
            state.catch_up(ts, events);
        }
    }

    /// Reads the line at which a track stands.
    fn play(&mut self, index: usize, shift: Shift, skipping: bool, frame: &mut Frame) {
        let track = &self.tracks[index];
        let (Some((step, file, bytes)), Some(ts)) = (track.head(), track.ts()) else {
            return;
        };
        frame.recording = file;
        frame.ts = shift.ts(ts);
        frame.is_bad = false;
        let problem = match step {
            Step::Bad(bad) => {
                frame.line = bad.line;
                Some(bad.reason.to_string())
            }
            Step::Line { line, .. } => {
                frame.line = *line;
                match self.codec.parse(bytes) {
                    Err(error) => Some(error.to_string()),
                    Ok(message) => {
                        let target = Target {
                            track,
                            shift,
                            ts: frame.ts,
                            skipping,
                        };
                        match target.take(&message, &mut self.instruments, &mut frame.events) {
                            Ok(is_used) => {
                                self.unused += u64::from(!is_used);
                                None
                            }
                            Err(reason) => Some(reason),
                        }
                    }
                }
            }
        };
        if skipping {
            self.skipped += 1;
        } else {
            self.frames += 1;
        }
        if let Some(reason) = problem {
            frame.is_bad = true;
            self.bad_count += 1;
            if self.bad.len() < BAD_FRAMES_KEPT {
                let path = self.recordings[file].path().to_owned();
                let line = frame.line;
                self.bad.push(BadFrame { path, line, reason });
            }
        }
    }

    /// Returns the definitions of all instruments, clones included.
    pub fn instruments(&self) -> Vec<Instrument> {
        self.instruments
            .iter()
            .map(|state| state.instrument.clone())
            .collect()
    }

    pub fn book(&self, id: &InstrumentId) -> Option<&L2Book> {
        self.state(id).map(InstrumentState::book)
    }

    /// Returns the builders of the bars of an instrument that are given as events.
    pub fn bars(&self, id: &InstrumentId) -> Option<&[BarBuilder]> {
        self.state(id).map(InstrumentState::bars)
    }

    pub fn counts(&self, id: &InstrumentId) -> Option<Counts> {
        self.state(id).map(|state| state.counts)
    }

    pub fn status(&self, id: &InstrumentId) -> Option<FeedStatus> {
        self.state(id).map(InstrumentState::status)
    }

    fn state(&self, id: &InstrumentId) -> Option<&InstrumentState> {
        self.by_id.get(id).map(|index| &self.instruments[*index])
    }

    /// Returns the first [`BAD_FRAMES_KEPT`] lines that could not be read.
    pub fn bad_frames(&self) -> &[BadFrame] {
        &self.bad
    }

    /// Returns how many frames were passed over on the way to the start.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Returns how many frames were well-formed but of a kind that is not used.
    pub fn unused(&self) -> u64 {
        self.unused
    }
}
