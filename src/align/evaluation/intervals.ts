export {
  type Interval,
  meanChange,
  meanInterval,
  shareChange,
  shareInterval,
  winRate,
} from '../scoring/intervals.ts';
