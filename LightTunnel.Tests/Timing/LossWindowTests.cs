using FsCheck;
using FsCheck.Xunit;
using LightTunnel.Timing;
using Xunit;

namespace LightTunnel.Tests.Timing;

public sealed class LossWindowTests
{
    private LossWindow _window;

    [Fact]
    public void WithoutResults_NothingIsKnown() => Assert.Null(_window.Share);

    [Property]
    public bool Share_IsThatOfTheLast32(NonEmptyArray<bool> results)
    {
        LossWindow window = default;
        foreach (bool isLost in results.Get)
            window.Add(isLost);
        return window.Share == results.Get.TakeLast(LossWindow.Size).Average(isLost => isLost ? 1.0 : 0);
    }

    [Fact]
    public void LateAnswer_TakesTheLatestLossBack()
    {
        _window.Add(isLost: true);
        _window.Add(isLost: true);
        _window.Add(isLost: false);
        _window.Add(isLost: false);
        _window.AddLate();
        Assert.Equal(0.25, _window.Share);
        for (int i = 0; i < LossWindow.Size - 4; i++)
            _window.Add(isLost: false);
        Assert.Equal(1.0 / LossWindow.Size, _window.Share); // The earlier one is still among the last 32.
        _window.Add(isLost: false);
        Assert.Equal(0, _window.Share);
    }

    [Fact]
    public void LateAnswer_IsTheFirstResult_OrSaysNothing()
    {
        _window.AddLate();
        Assert.Equal(0, _window.Share);
        _window.Add(isLost: false);
        _window.AddLate();
        _window.Add(isLost: true);
        Assert.Equal(1.0 / 3, _window.Share);
    }

    [Fact]
    public void Reset_ForgetsEverything()
    {
        _window.Add(isLost: true);
        _window.Reset();
        Assert.Null(_window.Share);
        _window.Add(isLost: false);
        Assert.Equal(0, _window.Share);
    }
}
