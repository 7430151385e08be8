"""Readers of the formats that data sets come in: idx, tar, recordings of event cameras."""
