namespace LightTunnel.Transport;

/// <summary>
/// How much a socket may have under way to the network card: so much that the card never waits, and no more, as whatever is sent next waits
/// behind it. Found out as Linux does for its cards (byte queue limits): what is still queued whenever the sender goes on was not needed.
/// Only a sender that the network holds up learns anything, so a fast network leaves the limit as it is.
/// </summary>
internal sealed class SendQueueLimit
{
    /// <summary>At 20 Mbit/s this takes 26 ms. The last message may go beyond it.</summary>
    public const int Smallest = 64 * 1024;

    /// <summary>
    /// The limit before anything is known, and what is passed on for others may always use: they cannot be held up, only lost.
    /// </summary>
    public const int First = 512 * 1024;

    /// <summary>Where a system lets its cards take so much at once, it does so for a reason.</summary>
    public const int Largest = 16 * 1024 * 1024;

    private const int FewestSamples = 8;
    private const int MostSamples = 1024;

    private int _least = int.MaxValue;
    private int _samples;
    private int _wanted = FewestSamples;

    /// <summary>Bytes of kernel memory; a datagram takes some more than its length.</summary>
    public int Bytes { get; private set; } = First;

    /// <summary>Learns from what is still queued at the moment at which a sender that found the queue full goes on.</summary>
    /// <param name="queued">Bytes of kernel memory.</param>
    /// <returns>True when the limit changed.</returns>
    public bool Note(int queued)
    {
        int before = Bytes;
        if (queued <= 0)
        {
            // The card may have waited. From now on it takes longer until that is tried again.
            Bytes = Math.Min(2 * Bytes, Largest);
            _wanted = Math.Min(2 * _wanted, MostSamples);
            Restart();
            return Bytes != before;
        }

        _least = Math.Min(_least, queued);
        if (++_samples < _wanted)
            return false;
        Bytes = Math.Max(Bytes - (_least / 2), Smallest);
        Restart();
        return Bytes != before;
    }

    private void Restart()
    {
        _least = int.MaxValue;
        _samples = 0;
    }
}
